"""The parts whose weights a method may change."""

import pytest
import torch
from tests.spectral.dense import dense_matrix
from torch import nn
from torch.nn.utils.parametrizations import weight_norm

from onelip.layers import AOLConv2d
from onelip.spectral.tensor_train import TTConv2d
from onelip.spectral.weighted_parts import checked_norm, own_module, scaling_parameter, weighted_layers, weighted_parts


def test_convolutions_and_dense_layers_are_listed_without_norms_and_constrained_layers():
    net = nn.Sequential(
        nn.Conv2d(3, 4, 3, stride=2), nn.BatchNorm2d(4), AOLConv2d(4, 4, 3, padding=1), nn.Flatten(), nn.Linear(36, 2)
    )
    parts = weighted_parts(net, (3, 7, 7))
    assert [(part.name, part.input_shape) for part in parts] == [("0", (3, 7, 7)), ("4", (36,))]
    assert weighted_layers(net, (3, 7, 7)) == (net[0], net[4])


class Grower(nn.Module):
    """Calls a transposed convolution with the size that it is to reach."""

    def __init__(self):
        super().__init__()
        self.up = nn.ConvTranspose2d(2, 2, 3, stride=2)

    def forward(self, x):
        return self.up(x, output_size=(10, 10))


def test_a_call_with_arguments_is_a_part_with_the_module_s_own_weight():
    net = Grower()
    (part,) = weighted_parts(net, (2, 4, 4))
    assert own_module(part) is net.up
    assert scaling_parameter(part.module) is net.up.weight


def test_a_tensor_train_is_one_part_of_three_layers():
    train = TTConv2d(3, 4, 3, ranks=2)
    net = nn.Sequential(train, nn.ReLU(), train)
    net[2] = TTConv2d(4, 4, 3, ranks=2)
    assert [part.module for part in weighted_parts(net, (3, 7, 7))] == [net[0], net[2]]
    assert weighted_layers(net, (3, 7, 7)) == (*net[0].children(), *net[2].children())
    assert scaling_parameter(net[0]) is net[0].core.weight


def test_a_module_used_twice_is_one_layer():
    conv = nn.Conv2d(2, 2, 3, padding=1)
    net = nn.Sequential(conv, nn.AvgPool2d(2), conv)
    assert weighted_layers(net, (2, 4, 4)) == (conv,)
    assert [part.input_shape for part in weighted_parts(net, (2, 4, 4))] == [(2, 4, 4), (2, 2, 2)]


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
