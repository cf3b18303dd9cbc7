import dataclasses

import numpy as np
import pytest
import torch
from tests.attacks.digits import trained
from torch import nn

from onelip.attacks import CertificateViolatedError, attack_curve, attack_curves
from onelip.attacks.by_name import ATTACKS

RADII = [0.3, 0.1, 0.2]


@pytest.fixture
def halfspace():
    model = nn.Linear(2, 2, bias=False)
    with torch.no_grad():
        model.weight.copy_(torch.eye(2))
    x = torch.tensor([[0.6, 0.4], [0.9, 0.1], [0.3, 0.5], [0.55, 0.5]])
    return model, x, torch.zeros(4, dtype=torch.int64)


def test_curve_by_hand(halfspace):
    # Distances to the diagonal: 0.141, 0.566, wrong, 0.035.
    curve = attack_curve(*halfspace, RADII, batch_size=3)
    assert curve.radii == (0.1, 0.2, 0.3)
    assert curve.accuracy == (0.5, 0.25, 0.25)
    assert curve.clean_accuracy == 0.75


def test_the_points_are_those_of_the_distances(halfspace):
    model, x, _ = halfspace
    curve = attack_curve(*halfspace, RADII, batch_size=3)
    changed = [0, 3]
    assert (model(curve.points).argmax(1)[changed] == 1).all()
    moved = (curve.points - x).norm(dim=1)
    assert moved[changed].tolist() == pytest.approx(curve.distances[changed].tolist(), abs=1e-6)
    # The second one was not found, and the third one is misclassified itself.
    assert moved[[1, 2]].tolist() == [0, 0]


def test_a_broken_certificate_is_an_error(halfspace):
    honest = torch.tensor([0.14, 0.56, 0.0, 0.035])
    attack_curve(*halfspace, RADII, certified=honest)
    with pytest.raises(CertificateViolatedError, match="sample 0 is certified within"):
        attack_curve(*halfspace, RADII, certified=torch.tensor([0.5, 0.0, 0.0, 0.0]))


def test_a_point_outside_of_its_ball_does_not_count(halfspace, monkeypatch):
    def far(model, x, y, radius):
        return torch.tensor([[0.0, 1.0]]).expand_as(x)

    monkeypatch.setitem(ATTACKS, "fgsm", dataclasses.replace(ATTACKS["fgsm"], functions={"l2": far}))
    assert attack_curve(*halfspace, RADII, attack="fgsm").accuracy == (0.75, 0.75, 0.75)
    assert attack_curve(*halfspace, [2.0], attack="fgsm").accuracy == (0.0,)


def test_bad_arguments(halfspace):
    with pytest.raises(ValueError, match="batch_size=0"):
        attack_curve(*halfspace, RADII, batch_size=0)


@pytest.mark.parametrize("norm", ["l2", "linf"])
@pytest.mark.parametrize("attack", ["pgd", "apgd-ce", "apgd-t", "fgsm", "bim", "mim"])
def test_every_attack_and_norm_gives_a_curve(attack, norm):
    g = torch.Generator().manual_seed(0)
    model, x = nn.Linear(5, 4), torch.rand(20, 5, generator=g)
    y = model(x).argmax(1)
    less = {} if attack == "fgsm" else {"steps": 10}
    whole = attack_curve(model, x, y, [0.0, 0.1, 2.0], attack=attack, norm=norm, generator=g, box=(-9.0, 9.0), **less)
    assert whole.accuracy[0] == 1 > whole.accuracy[2]
    assert whole.accuracy[1] >= whole.accuracy[2]
    # The class of what was found is another one; where nothing was found, it is the label.
    assert ((whole.predictions != y.numpy()) == np.isfinite(whole.distances)).all()


def test_nearest_points_give_a_curve_of_their_distances(halfspace):
    progress = []
    curve = attack_curve(
        *halfspace, RADII, attack="cw", steps=200, binary_search_steps=3, initial_const=1.0, batch_size=3,
        progress=lambda *done: progress.append(done),
    )  # fmt: skip
    assert curve.distances == pytest.approx([0.1414, 0.5657, 0.0, 0.0354], rel=0.05)
    assert curve.accuracy == (0.5, 0.25, 0.25)
    assert curve.predictions.tolist() == [1, 1, 1, 1]
    assert progress == [(3, 4), (4, 4)]


def test_a_certificate_in_another_norm_is_protected_in_that_norm(halfspace):
    # In l-infinity the first sample is 0.1 from the boundary, in l2 0.1414.
    options = {"norm": "linf", "certified_norm": "l2"}
    attack_curve(*halfspace, [0.105], certified=torch.tensor([0.141, 0.0, 0.0, 0.0]), **options)
    with pytest.raises(CertificateViolatedError, match="sample 0 is certified within") as raised:
        attack_curve(*halfspace, [0.105], certified=torch.tensor([0.2, 0.0, 0.0, 0.0]), **options)
    assert raised.value.index == 0


def test_answers_that_are_no_numbers_are_wrong(halfspace):
    model, x, y = halfspace
    with torch.no_grad():
        model.weight.fill_(torch.nan)
    assert attack_curve(model, x, y, RADII).clean_accuracy == 0


def test_mistakes_are_named(halfspace):
    with pytest.raises(ValueError, match="attack='jsma' must be one of pgd"):
        attack_curve(*halfspace, RADII, attack="jsma")
    with pytest.raises(ValueError, match="certifed=3 is no option of attack='pgd'"):
        attack_curve(*halfspace, RADII, certifed=3)


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_attacks_in_stages_only_fall_and_begin_as_the_first_alone(norm):
    model, x, y = trained()
    radii = {"l2": [0.3, 0.5, 0.7], "linf": [0.03, 0.06, 0.1]}[norm]
    options = {"norm": norm, "steps": 4, "restarts": 2, "batch_size": 40}

    def seeded():
        return torch.Generator().manual_seed(5)

    curves = attack_curves(model, x, y, radii, ["apgd"], generator=seeded(), n_targets=3, **options)
    alone = attack_curve(model, x, y, radii, attack="pgd", generator=seeded(), **options)
    assert list(curves) == ["pgd", "apgd-ce", "apgd-t"]
    assert np.array_equal(curves["pgd"].distances, alone.distances)
    for before, after in (("pgd", "apgd-ce"), ("apgd-ce", "apgd-t")):
        assert (curves[after].distances <= curves[before].distances).all()
    assert curves["apgd-t"].accuracy != curves["pgd"].accuracy, "stages that add nothing show nothing"
    whole = attack_curve(model, x, y, radii, attack="apgd", generator=seeded(), n_targets=3, **options)
    assert np.array_equal(whole.distances, curves["apgd-t"].distances)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # foolbox imports what SciPy has moved
def test_what_nearer_points_are_known_of_is_kept():
    model, x, y = trained()
    progress = []
    curves = attack_curves(
        model, x[:20], y[:20], [0.4, 0.8], ["deepfool", "fgsm", "ddn"], progress=lambda *done: progress.append(done)
    )
    assert (curves["ddn"].distances <= curves["deepfool"].distances).all()
    assert progress == [(20, 80), (40, 80), (60, 80), (80, 80)]


def test_two_classes_are_attacked_in_stages_too(halfspace):
    assert attack_curve(*halfspace, RADII, attack="apgd", steps=5, restarts=1).accuracy == (0.5, 0.25, 0.25)
    with pytest.raises(ValueError, match="at least 4 classes, not 2"):
        attack_curve(*halfspace, RADII, attack="apgd-t", steps=5)


def test_mistakes_of_several_attacks_are_named(halfspace):
    with pytest.raises(ValueError, match="must name at least one attack"):
        attack_curves(*halfspace, RADII, [])
    with pytest.raises(ValueError, match="overshoot=1 is no option of attack='pgd'"):
        attack_curves(*halfspace, RADII, ["pgd", "fgsm"], overshoot=1)
