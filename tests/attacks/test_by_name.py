from typing import get_args

import pytest
from tests.attacks.linear import linear

from onelip.attacks import AttackName
from onelip.attacks.by_name import ATTACKS, named_attack

NEAREST = ["cw", "deepfool", "ddn", "fmn", "boundary", "hopskipjump", "pointwise"]


def test_every_name_has_an_attack_and_its_defaults():
    assert tuple(ATTACKS) == get_args(AttackName)
    defaults = {name: dict(attack.defaults) for name, attack in ATTACKS.items()}
    assert defaults["pgd"] == {"steps": 40, "restarts": 5, "step_size": None, "random_start": False, "loss": None}
    assert defaults["apgd"] == {"steps": 40, "restarts": 5, "n_targets": 9}
    assert defaults["deepfool"] == {"steps": 50, "candidates": 10, "overshoot": 0.02}
    assert defaults["autoattack"] == {"version": "standard", "parts": ()}
    assert defaults["apgd-t"] == {"steps": 40, "restarts": 5, "n_targets": 9}
    assert defaults["fgsm"] == {}
    assert defaults["mim"] == {"steps": 40, "step_size": None, "decay": 1.0}
    assert defaults["cw"]["confidence"] == 0.0
    assert [name for name, attack in ATTACKS.items() if attack.nearest] == NEAREST
    assert [name for name, attack in ATTACKS.items() if attack.stages != (name,)] == ["apgd"]


@pytest.mark.parametrize("norm", ["l2", "linf"])
@pytest.mark.parametrize("name", [name for name in get_args(AttackName) if name not in (*NEAREST, "autoattack")])
def test_options_and_norm_arrive(name, norm):
    model, x, y = linear()
    attack = named_attack(name)
    less = {key: {"steps": 0, "restarts": 1}[key] for key in ("steps", "restarts") if key in attack.defaults}
    points = attack.search(norm, less, box=(-5.0, 5.0), generator=None)(model, x, y, 0.1)
    lengths = (points - x).flatten(1).norm(dim=1, p=2 if norm == "l2" else float("inf"))
    expected = 0.1 if name == "fgsm" else 0.0
    assert float(lengths.max()) == pytest.approx(expected, abs=1e-6)


def test_mistakes_are_named():
    with pytest.raises(ValueError, match=r"attack='jsma' must be one of pgd, apgd, apgd-ce, .*, pointwise"):
        named_attack("jsma")
    with pytest.raises(ValueError, match="norm='linf' does not go with attack='cw'; use l2"):
        named_attack("cw").search("linf", {})
    with pytest.raises(ValueError, match="steps=3 is no option of attack='fgsm', which has none"):
        named_attack("fgsm").search("l2", {"steps": 3})
    with pytest.raises(ValueError, match="attack='mim', which has steps, step_size, decay"):
        named_attack("mim").search("l2", {"confidence": 1})
