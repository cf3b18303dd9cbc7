"""The section about attacks."""

from typing import get_args

import pytest
from pydantic import ValidationError

from onelip.attacks import AttackName
from onelip.attacks.by_name import named_attack
from onelip.experiments.config_attack import OWN_SECTIONS, SHARED, Attack, changed_attack, from_ranges


@pytest.mark.parametrize(
    ("value", "radii"),
    [
        ("0:1:0.25", [0.25, 0.5, 0.75, 1.0]),
        ("0.1:0.35:0.1", [0.1, 0.2, 0.3]),
        (["2/255:8/255:3/255", "0.5"], [2 / 255, 5 / 255, 8 / 255, 0.5]),
        ("1/255, 0.2", [1 / 255, 0.2]),
        ([0.5, "8/255"], [0.5, 8 / 255]),
        ("1:1:1", [1.0]),
    ],
)
def test_radii_may_be_ranges_and_lists(value, radii):
    assert list(Attack.model_validate({"radii": value}).radii) == radii


@pytest.mark.parametrize(
    "value", ["0:1", "1:0:0.1", "0:1:0", "0:1:-0.1", "a:b:c", "0:0:1", "0:1:1e-6", "1:2:1/0", "0:1e400:1e399"]
)
def test_wrong_ranges_are_one_sentence(value):
    with pytest.raises(ValidationError, match=f"attack.radii={value!r} must be a range FROM:TO:STEP"):
        Attack.model_validate({"radii": value})


def test_what_is_no_range_is_left_to_the_type():
    assert from_ranges(3) == 3
    for wrong in (["x"], "", [0.0], [], 3):
        with pytest.raises(ValidationError):
            Attack.model_validate({"radii": wrong})


@pytest.mark.parametrize("kind", get_args(AttackName))
def test_sections_have_the_options_of_the_attacks_and_their_defaults(kind):
    attack = named_attack(kind)
    assert Attack(kind=kind).options == dict(attack.defaults)
    assert (kind in OWN_SECTIONS) or set(attack.defaults) <= set(SHARED)


OTHER = {"steps": 7, "restarts": 3, "step_size": 0.1, "random_start": True, "loss": "dlr", "decay": 0.5, "n_targets": 2}


@pytest.mark.parametrize("kind", get_args(AttackName))
def test_options_that_an_attack_has_not_are_refused(kind):
    for key in SHARED:
        tree = {"kind": kind, key: OTHER[key]}
        if kind not in OWN_SECTIONS and key in named_attack(kind).defaults:
            assert Attack.model_validate(tree).options[key] == OTHER[key]
        else:
            with pytest.raises(ValidationError, match=f"attack.{key}={OTHER[key]} is no option of attack.kind={kind}"):
                Attack.model_validate(tree)


def test_attacks_of_packages_have_sections_beside_each_other():
    section = Attack.model_validate(
        {"kind": "cw", "radii": ["8/255"], "cw": {"confidence": 0.1, "steps": 10}, "ddn": {"gamma": 0.2}}
    )
    assert (section.radii, section.norm) == ((8 / 255,), None)
    assert (section.cw.confidence, section.cw.steps, section.cw.binary_search_steps) == (0.1, 10, 9)
    assert section.ddn.gamma == 0.2
    with pytest.raises(ValidationError):
        Attack.model_validate({"ddn": {"overshoot": 0.1}})


@pytest.mark.parametrize("kind", ["cw", "ddn", "boundary", "pointwise"])
def test_norms_that_an_attack_has_not_are_refused(kind):
    with pytest.raises(ValidationError, match=f"attack.kind={kind} measures l2 distances; use attack.norm=l2"):
        Attack(kind=kind, norm="linf")


@pytest.mark.parametrize(
    "tree", [{"version": "custom"}, {"parts": ["square"]}, {"version": "custom", "parts": ["pgd"]}]
)
def test_parts_belong_to_the_custom_version(tree):
    with pytest.raises(ValidationError):
        Attack.model_validate({"kind": "autoattack", "autoattack": tree})


def test_another_attack_of_a_section_keeps_what_it_has():
    section = Attack(kind="pgd", norm="linf", steps=7, restarts=2, random_start=True).model_dump()
    assert Attack.model_validate(changed_attack(section, "mim", {"decay": 0.5})).options == {
        "steps": 7, "step_size": None, "decay": 0.5,
    }  # fmt: skip
    deep = Attack.model_validate(changed_attack(section, "deepfool", {"overshoot": 0.1, "samples": 5}))
    assert (deep.norm, deep.samples, deep.steps, deep.options["overshoot"]) == ("linf", 5, 40, 0.1)
    assert Attack.model_validate(changed_attack(section, "ddn", {})).norm is None


def test_every_image_has_two_names():
    assert Attack.model_validate({"samples": "all"}).n_samples is Attack(samples=0).n_samples is None
    for wrong in (-1, "some", 1.5):
        with pytest.raises(ValidationError):
            Attack.model_validate({"samples": wrong})
