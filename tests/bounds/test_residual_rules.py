import pytest
import torch
from tests.bounds.dense import ROUNDING, steepest
from torch import nn

from onelip.bounds import lipschitz_bound
from onelip.layers import AdditiveResidual, ConcatResidual, ConvexResidual, L2NormResidual, PrescaledResidual, Sum


@pytest.mark.parametrize("kind", [AdditiveResidual, ConcatResidual, ConvexResidual, L2NormResidual, PrescaledResidual])
@pytest.mark.parametrize("gain", [0.5, 4.0])
def test_branches_of_ordinary_modules(kind, gain):
    torch.manual_seed(0)
    width = 2 if kind is ConcatResidual else 4
    branch = nn.Sequential(nn.Linear(width, width), nn.Tanh())
    branch[0].weight.data *= gain
    model = nn.Sequential(nn.Linear(4, 4), kind(branch))
    bound = lipschitz_bound(model, (4,))
    assert bound.proved
    assert steepest(model, (4,)) <= bound.value * (1 + ROUNDING)


def test_sums_show_their_parts():
    bound = lipschitz_bound(Sum(nn.Identity(), nn.Linear(3, 3)), (3,))
    assert [row.kind for row in bound.layers] == ["Identity", "Linear", "add"]
