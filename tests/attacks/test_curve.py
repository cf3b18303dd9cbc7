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
