"""The parts whose weights a method may change."""

import pytest
import torch
from tests.spectral.dense import dense_matrix
from torch import nn
from torch.nn.utils.parametrizations import weight_norm

from onelip.layers import AOLConv2d
from onelip.spectral.weighted_parts import checked_norm, is_weighted, scaling_parameter, weighted_parts


def test_convolutions_and_dense_layers_are_listed_without_norms_and_constrained_layers():
    net = nn.Sequential(
        nn.Conv2d(3, 4, 3, stride=2), nn.BatchNorm2d(4), AOLConv2d(4, 4, 3, padding=1), nn.Flatten(), nn.Linear(36, 2)
    )
    parts = weighted_parts(net, (3, 7, 7))
    assert [(part.name, part.input_shape) for part in parts] == [("0", (3, 7, 7)), ("4", (36,))]
    assert [is_weighted(module) for module in net] == [True, False, False, False, True]


def test_a_parametrised_weight_is_refused_by_name():
    with pytest.raises(ValueError, match="weight of '0' is parametrised"):
        weighted_parts(nn.Sequential(weight_norm(nn.Linear(3, 2))), (3,))


@pytest.mark.parametrize(
    ("module", "shape"),
    [
        (nn.ConvTranspose2d(2, 3, 3, stride=2), (2, 4, 4)),
        (nn.Linear(5, 4), (5,)),
        (nn.BatchNorm1d(5), (5,)),
        (nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3)), (2, 5, 5)),
        (nn.Sequential(nn.Conv2d(2, 3, 3), nn.Flatten()), (2, 5, 5)),
    ],
)
def test_the_linear_part_is_proportional_to_its_parameter(module, shape):
    before = dense_matrix(module, shape)
    with torch.no_grad():
        scaling_parameter(module).mul_(0.25)
    torch.testing.assert_close(dense_matrix(module, shape), before / 4)


@pytest.mark.parametrize("module", [nn.BatchNorm1d(3, affine=False), nn.ReLU(), nn.Sequential()])
def test_what_no_parameter_scales_is_refused(module):
    with pytest.raises(ValueError, match="has no parameter that scales it"):
        scaling_parameter(module)


@pytest.mark.parametrize("value", [0, -1.0, float("nan"), float("inf"), True, "1"])
def test_a_norm_is_a_positive_number(value):
    assert checked_norm("x", 2) == 2.0
    with pytest.raises(ValueError, match=r"max_norm=.* in x must be a positive number"):
        checked_norm("x", value)
