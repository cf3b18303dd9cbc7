"""A norm in a fixed number of steps, against dense singular values."""

import pytest
import torch
from tests.spectral.dense_values import dense_values
from torch import nn

from onelip.spectral.quick_norm import quick_norm

torch.manual_seed(1)
LAYERS = {
    "zeros": (nn.Conv2d(3, 4, 3, padding=1), (3, 6, 5)),
    "strided": (nn.Conv2d(4, 3, 3, stride=2, padding=1), (4, 7, 6)),
    "circular": (nn.Conv1d(2, 3, 3, padding=1, padding_mode="circular"), (2, 8)),
    "transposed": (nn.ConvTranspose2d(3, 2, 3, stride=2), (3, 4, 4)),
    "dense": (nn.Linear(7, 5), (7,)),
    "half": (nn.Conv2d(3, 4, 3, padding=1, dtype=torch.bfloat16), (3, 6, 5)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_it_comes_near_from_below_and_nearer_the_second_time(name):
    layer, shape = LAYERS[name]
    exact = float(dense_values(layer, shape)[0])
    first, vector = quick_norm(layer, shape, None, 10)
    second, again = quick_norm(layer, shape, vector, 10)
    assert 0.97 * exact <= first <= exact * (1 + 1e-5)
    assert second == pytest.approx(exact, rel=2e-3)
    assert vector.shape == again.shape == (1, *shape)
    with torch.no_grad():
        image = layer.float()(again) - layer(torch.zeros_like(again))
    assert float(image.norm() / again.norm()) == pytest.approx(second, rel=1e-4)


def test_a_map_of_norm_zero_has_norm_zero():
    layer = nn.Linear(3, 2)
    nn.init.zeros_(layer.weight)
    assert quick_norm(layer, (3,), None, 5)[0] == 0.0


def test_nothing_is_touched():
    layer = nn.Conv2d(3, 4, 3, padding=1)
    state = torch.get_rng_state()
    quick_norm(layer, (3, 5, 5), None, 4)
    assert layer.weight.grad is None
    assert layer.weight.requires_grad
    assert torch.equal(torch.get_rng_state(), state)
