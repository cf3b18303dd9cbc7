"""Power iteration on the layer's own padding and stride."""

import pytest
import torch
from tests.spectral.norm_estimates import dense
from torch import nn

from onelip.spectral import norm_estimate


@pytest.mark.parametrize(("kernel", "padding", "mode"), [(5, 2, "zeros"), (5, 0, "zeros"), (3, 1, "reflect")])
def test_the_padding_is_the_layers_own(kernel, padding, mode):
    torch.manual_seed(0)
    conv = nn.Conv2d(2, 3, kernel, padding=padding, padding_mode=mode).double()
    norm = dense.norm(conv, (2, 7, 6))
    assert norm * (1 - 1e-3) <= float(norm_estimate(conv, "ryu", (2, 7, 6), steps=200)) <= norm * (1 + 1e-12)


def test_more_steps_never_lower_the_value():
    torch.manual_seed(0)
    weight = torch.randn(9, 12, dtype=torch.float64)
    values = [float(norm_estimate(weight, "power-dense", steps=s)) for s in (1, 2, 5, 20, 100)]
    assert values == sorted(values)


def test_the_random_state_and_gradients_are_left_alone():
    conv = nn.Conv2d(2, 3, 3, padding=1)
    conv.weight.grad = torch.ones_like(conv.weight)
    state = torch.get_rng_state()
    norm_estimate(conv, "ryu", (2, 5, 5))
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(conv.weight.grad, torch.ones_like(conv.weight))


def test_modules_keep_their_own_precision():
    layer = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
    assert norm_estimate(layer, "ryu", (3,)).value.dtype == torch.float32
