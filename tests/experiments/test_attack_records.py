"""An attack on a classifier whose distances are known, and what is written about it."""

import csv
import json
from dataclasses import replace
from typing import get_args

import numpy as np
import pytest
import torch
from torch import nn

from onelip.attacks import AttackName, CertificateViolatedError
from onelip.data import ImageData
from onelip.experiments import RunFolder
from onelip.experiments.attack_records import Target, attack_file, attack_target, norm_of, read_attacks
from onelip.experiments.config_attack import Attack, Boundary, CarliniWagner, HopSkipJump
from onelip.layers import Normalize

PIXELS = np.array([51, 102, 125, 204], dtype=np.uint8)


@pytest.fixture
def target():
    """Images of one pixel, of class 1 above 1/2, told apart after they are standardised; the third is misclassified."""
    network = nn.Sequential(Normalize((0.5,), (0.25,)), nn.Flatten(), nn.Linear(1, 2))
    with torch.no_grad():
        network[2].weight.copy_(torch.tensor([[-1.0], [1.0]]))
        network[2].bias.zero_()
    images = torch.from_numpy(PIXELS).reshape(4, 1, 1, 1)
    return Target(network.eval(), ImageData(images, torch.tensor([0, 0, 1, 1]), 255.0), torch.tensor([3, 5, 7, 9]), 1)


def rows(path):
    with path.open() as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("kind", ["pgd", "fgsm", "bim", "mim", "apgd-ce", "apgd"])
def test_radii_are_of_pixels_though_the_network_standardises_them(target, tmp_path, kind):
    effort = {"fgsm": {}, "bim": {"steps": 5}, "mim": {"steps": 5}}.get(kind, {"steps": 5, "restarts": 1})
    options = Attack(kind=kind, norm="linf", radii=(0.2, 0.35), **effort)
    result = attack_target(target, options, 0, RunFolder(tmp_path), tmp_path / "attack.json")
    # In pixels of [0, 1] the images are 0.3, 0.1 and 0.3 away from 1/2; in those after standardising, four times that.
    assert result["accuracy"] == [0.5, 0.0]
    assert (result["clean_on_same"], result["never_changed"], result["samples"]) == (0.75, 0.0, 4)
    assert json.loads((tmp_path / "attack.json").read_text()) == result
    table = rows(tmp_path / f"attack-{kind}-linf.csv")
    assert [row["index"] for row in table] == ["3", "5", "7", "9"]
    assert [(row["label"], row["predicted"], row["success"]) for row in table] == [
        ("0", "1", "1"), ("0", "1", "1"), ("1", "0", "1"), ("1", "0", "1"),
    ]  # fmt: skip
    assert [row["radius"] for row in table] == ["0.35", "0.2", "0.2", "0.35"]
    truth = np.abs(PIXELS / 255 - 0.5)
    for row, least in zip(table, truth, strict=True):
        assert float(row["distance"]) == 0 or least * (1 - 1e-6) <= float(row["distance"]) <= float(row["radius"])


def test_nothing_found_is_an_empty_distance(target, tmp_path):
    options = Attack(radii=(0.05,), steps=2, restarts=1)
    assert attack_target(target, options, 0, RunFolder(tmp_path), tmp_path / "a.json")["never_changed"] == 0.75
    table = rows(tmp_path / "attack-pgd-l2.csv")
    assert [(row["success"], row["distance"], row["radius"], row["predicted"]) for row in table] == [
        ("0", "", "", "0"), ("0", "", "", "0"), ("1", "0.0", "0.05", "0"), ("0", "", "", "1"),
    ]  # fmt: skip


def test_nearest_points_beyond_every_radius_have_a_distance(target, tmp_path):
    effort_ = CarliniWagner(steps=200, binary_search_steps=2, initial_const=1.0)
    options = Attack(kind="cw", radii=(0.2,), cw=effort_)
    result = attack_target(target, options, 0, RunFolder(tmp_path), tmp_path / "a.json")
    assert (result["accuracy"], result["never_changed"], result["initial_const"]) == ([0.5], 0.0, 1.0)
    table = rows(tmp_path / "attack-cw-l2.csv")
    truth = [0.3, 0.1, 0.0, 0.3]
    assert [float(row["distance"]) for row in table] == pytest.approx(truth, abs=0.01)
    assert [row["radius"] for row in table] == ["", "0.2", "0.2", ""]


def test_certified_answers_are_protected_and_listed(target, tmp_path):
    options = Attack(radii=(0.2, 0.35), steps=5, restarts=1)
    certified = replace(target, radii=np.array([0.29, 0.09, 0.0, 0.29]), norm="l2")
    result = attack_target(certified, options, 0, RunFolder(tmp_path), tmp_path / "a.json")
    assert result["certified_on_same"] == [0.5, 0.0]
    assert [float(row["certified"]) for row in rows(tmp_path / "attack-pgd-l2.csv")] == [0.29, 0.09, 0.0, 0.29]
    exaggerated = replace(certified, radii=np.full(4, 0.34))
    with pytest.raises(CertificateViolatedError, match="is certified within"):
        attack_target(exaggerated, options, 0, RunFolder(tmp_path), tmp_path / "b.json")
    assert not (tmp_path / "b.json").exists()


def test_shares_certified_in_another_norm_are_of_balls_inside(target, tmp_path):
    images = ImageData(torch.full((2, 1, 2, 2), 204, dtype=torch.uint8), torch.tensor([1, 1]), 255.0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
    with torch.no_grad():
        network[1].weight.copy_(torch.tensor([[-1.0], [1.0]]).expand(2, 4))
        network[1].bias.copy_(torch.tensor([2.0, -2.0]))
    wide = Target(network, images, torch.arange(2), 0, np.array([0.6, 0.5]), "l2")
    options = Attack(norm="linf", radii=(0.25, 0.299, 0.35), steps=3, restarts=1)
    result = attack_target(wide, options, 0, RunFolder(tmp_path), tmp_path / "a.json")
    # The l2 ball that holds the l_inf ball of radius 0.25 has twice the radius.
    assert result["certified_on_same"] == [0.5, 0.5, 0.0]
    assert result["accuracy"] == [1.0, 1.0, 0.0]


def test_the_norm_is_that_asked_for_else_of_the_certificate():
    assert norm_of(Attack(), None) == "l2"
    assert norm_of(Attack(), "linf") == "linf"
    assert norm_of(Attack(norm="linf"), "l2") == "linf"
    assert norm_of(Attack(kind="cw"), "linf") == "l2"


def test_no_attack_overwrites_another(tmp_path):
    folder, run = RunFolder(tmp_path), Attack(norm="linf")
    assert attack_file(folder, run, run, None) == folder.attack_file
    assert attack_file(folder, Attack(), Attack(), "linf") == folder.attack_file
    assert attack_file(folder, run, run, "l2").name == "attack-pgd-linf.json"
    assert attack_file(folder, Attack(kind="mim"), run, None).name == "attack-mim-l2.json"
    assert attack_file(folder, Attack(), None, None).name == "attack-pgd-l2.json"


def test_stages_are_listed_and_fall(target, tmp_path):
    options = Attack(kind="apgd", radii=(0.2, 0.35), steps=2, restarts=1)
    certified = replace(target, radii=np.array([0.29, 0.09, 0.0, 0.29]), norm="l2")
    result = attack_target(certified, options, 0, RunFolder(tmp_path), tmp_path / "a.json")
    assert list(result["stages"]) == ["pgd", "apgd-ce", "apgd-t"]
    assert result["stages"]["apgd-t"] == result["accuracy"] == [0.5, 0.0]
    assert result["certified_norm"] == "l2"


def test_every_image_is_attacked_on_demand(target, tmp_path):
    assert Attack(samples=0).n_samples is None
    assert Attack.model_validate({"samples": "all"}).n_samples is None
    assert Attack(samples=3).n_samples == 3


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # foolbox imports what SciPy has moved
@pytest.mark.parametrize("kind", get_args(AttackName))
def test_every_attack_is_stopped_by_a_wrong_certificate_and_not_by_a_right_one(kind, tmp_path):
    # Two pixels, four classes by the quadrant, so that every loss and package has enough of them. The nearest other
    # class is 0.2 away in both norms, and that on the other side, where random starts may end, 0.4.
    network = nn.Sequential(nn.Flatten(), nn.Linear(2, 4))
    with torch.no_grad():
        network[1].weight.copy_(torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]]))
        network[1].bias.copy_(-0.5 * network[1].weight.sum(1))
    images = torch.tensor([[179, 230], [230, 179]], dtype=torch.uint8).reshape(2, 1, 1, 2)
    right = Target(
        network.eval(), ImageData(images, torch.zeros(2, dtype=torch.int64), 255.0), torch.tensor([4, 6]), 0,
        np.array([0.199, 0.199]), "l2",
    )  # fmt: skip
    quick = {
        "boundary": {"boundary": Boundary(steps=400)},
        "hopskipjump": {"hopskipjump": HopSkipJump(steps=8)},
        "cw": {"cw": CarliniWagner(steps=100, initial_const=1.0)},
    }
    options = Attack(kind=kind, radii=(0.3, 0.45), **quick.get(kind, {}))
    result = attack_target(right, options, 0, RunFolder(tmp_path), tmp_path / "a.json")
    assert result["certified_on_same"] == [0.0, 0.0]
    assert result["accuracy"][1] == 0, "an attack that finds nothing contradicts nothing"
    wrong = replace(right, radii=np.array([0.5, 0.5]))
    with pytest.raises(CertificateViolatedError, match=r"sample [01] is certified within 0\.5") as raised:
        attack_target(wrong, options, 0, RunFolder(tmp_path), tmp_path / "b.json")
    assert raised.value.index in (0, 1)
    assert not (tmp_path / "b.json").exists()


def test_attacks_on_other_weights_are_left_out(target, tmp_path):
    folder = RunFolder(tmp_path)
    attack_target(target, Attack(radii=(0.1,), kind="fgsm"), 0, folder, folder.attack_file)
    attack_target(
        replace(target, epoch=0), Attack(radii=(0.1,), kind="bim"), 0, folder, tmp_path / "attack-bim-l2.json"
    )
    assert [one["attack"] for one in read_attacks(folder, 1)] == ["fgsm"]
    assert [one["attack"] for one in read_attacks(folder, 0)] == ["bim"]
