"""Gradients, constants and held-out differences of critics that are known."""

import math

import pytest
import torch
from torch import nn

from onelip import models
from onelip.gan import critic_constant, critic_gradients, held_out_difference


def steep(slope):
    critic = nn.Sequential(nn.Flatten(), nn.Linear(4, 1, bias=False))
    with torch.no_grad():
        critic[1].weight.copy_(torch.tensor([[slope, 0.0, 0.0, 0.0]]))
    return critic


def test_a_linear_critic_is_as_steep_everywhere():
    critic = steep(3.0)
    real, generated = torch.rand(30, 1, 2, 2), torch.rand(30, 1, 2, 2)
    found = critic_gradients(critic, real, generated)
    assert (found.real, found.generated, found.between) == pytest.approx((3.0, 3.0, 3.0))
    assert found.largest == pytest.approx(3.0)
    assert found.n_points == 90
    constant = critic_constant(critic, (1, 2, 2))
    assert constant.proved
    assert constant.value == pytest.approx(3.0, rel=1e-6)


def test_gradients_are_measured_where_they_are():
    # Flat below 0.5 in the first pixel, and of slope 2 above.
    critic = nn.Sequential(steep(2.0), nn.Linear(1, 1), nn.ReLU())
    with torch.no_grad():
        critic[1].weight.fill_(1.0)
        critic[1].bias.fill_(-1.0)
    real, generated = torch.full((4, 1, 2, 2), 0.9), torch.full((4, 1, 2, 2), 0.1)
    found = critic_gradients(critic, real, generated)
    assert (found.real, found.generated) == pytest.approx((2.0, 0.0))
    assert found.between in (pytest.approx(0.0), pytest.approx(2.0))


def test_the_difference_is_divided_by_the_constant():
    torch.manual_seed(0)
    critic, x, y = steep(3.0), torch.rand(500, 1, 2, 2), torch.rand(400, 1, 2, 2) - 1
    found = held_out_difference(critic, x, y, critic_constant(critic, (1, 2, 2)))
    a, b = 3 * x[:, 0, 0, 0].double(), 3 * y[:, 0, 0, 0].double()
    assert found.difference == pytest.approx(float(a.mean() - b.mean()))
    assert found.standard_error == pytest.approx(math.sqrt(float(a.var() / 500 + b.var() / 400)))
    # The distance of the shifted distributions is 1 in the first pixel, and this critic sees no other.
    assert found.lower_bound == pytest.approx(1.0, abs=4 * found.lower_bound_error)
    assert found.lower_bound == pytest.approx(found.difference / 3, rel=1e-6)
    assert found.lower_bound <= found.difference / 3
    assert held_out_difference(critic, y, x, found.constant).lower_bound == 0.0
    with pytest.raises(ValueError, match="1 and 400 images"):
        held_out_difference(critic, x[:1], y, None)


def test_no_constant_no_bound():
    class Odd(nn.Module):
        def forward(self, x):
            return x.flatten(1).square().sum(dim=1, keepdim=True)

    assert critic_constant(Odd(), (1, 2, 2)) is None
    found = held_out_difference(Odd(), torch.rand(3, 1, 2, 2), torch.rand(3, 1, 2, 2), None)
    assert (found.lower_bound, found.lower_bound_error) == (None, None)


def test_a_critic_of_1_lipschitz_layers_is_nowhere_steeper():
    torch.manual_seed(0)
    critic = models.build("infogan-critic", input_shape=(1, 8, 8), n_classes=1, layer="aoc", widths=[4, 4], dense=[8])
    found = critic_gradients(critic, torch.rand(40, 1, 8, 8), torch.rand(40, 1, 8, 8))
    constant = critic_constant(critic, (1, 8, 8))
    assert critic.training
    assert 0.1 < found.largest <= constant.value <= 1 + 1e-5
