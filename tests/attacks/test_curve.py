import pytest
import torch
from torch import nn

from onelip.attacks import CertificateViolatedError, attack_curve

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


def test_a_broken_certificate_is_an_error(halfspace):
    honest = torch.tensor([0.14, 0.56, 0.0, 0.035])
    attack_curve(*halfspace, RADII, certified=honest)
    with pytest.raises(CertificateViolatedError, match="sample 0 is certified within"):
        attack_curve(*halfspace, RADII, certified=torch.tensor([0.5, 0.0, 0.0, 0.0]))


def test_bad_arguments(halfspace):
    with pytest.raises(ValueError, match="batch_size=0"):
        attack_curve(*halfspace, RADII, batch_size=0)


@pytest.mark.parametrize("attack", ["pgd", "apgd-ce", "apgd-t"])
@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_every_attack_and_norm_gives_a_curve(attack, norm):
    g = torch.Generator().manual_seed(0)
    model, x = nn.Linear(5, 4), torch.rand(20, 5, generator=g)
    y = model(x).argmax(1)
    whole = attack_curve(
        model, x, y, [0.0, 0.1, 2.0], attack=attack, norm=norm, steps=10, restarts=1, generator=g, box=(-9.0, 9.0)
    )
    assert whole.accuracy[0] == 1 > whole.accuracy[2]
    assert whole.accuracy[1] >= whole.accuracy[2]


def test_unknown_attacks_are_named(halfspace):
    with pytest.raises(ValueError, match="attack='fgsm' in attack_curve must be one of pgd, apgd-ce, apgd-t"):
        attack_curve(*halfspace, RADII, attack="fgsm")
