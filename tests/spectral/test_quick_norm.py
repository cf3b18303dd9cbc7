"""A norm in a fixed number of steps, against dense singular values."""

import copy

import pytest
import torch
from tests.spectral.dense_values import dense_values
from torch import nn

from onelip.spectral.quick_norm import quick_norms

torch.manual_seed(1)
LAYERS = {
    "zeros": (nn.Conv2d(3, 4, 3, padding=1), (3, 6, 5)),
    "strided": (nn.Conv2d(4, 3, 3, stride=2, padding=1), (4, 7, 6)),
    "circular": (nn.Conv1d(2, 3, 3, padding=1, padding_mode="circular"), (2, 8)),
    "transposed": (nn.ConvTranspose2d(3, 2, 3, stride=2), (3, 4, 4)),
    "grouped": (nn.Conv2d(4, 6, 3, padding=1, groups=2), (4, 5, 5)),
    "transposed groups": (nn.ConvTranspose1d(4, 6, 3, stride=2, groups=2), (4, 5)),
    "half": (nn.Conv2d(3, 4, 3, padding=1, dtype=torch.bfloat16), (3, 6, 5)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_it_comes_near_from_below_and_nearer_the_second_time(name):
    layer, shape = LAYERS[name]
    exact = float(dense_values(layer, shape)[0])
    first, vector = quick_norms([layer], shape, [None], 10)[0]
    second, again = quick_norms([layer], shape, [vector], 10)[0]
    assert 0.97 * exact <= first <= exact * (1 + 1e-5)
    assert second == pytest.approx(exact, rel=2e-3)
    assert vector.shape == again.shape == (1, *shape)
    with torch.no_grad():
        image = layer.float()(again) - layer(torch.zeros_like(again))
    assert float(image.norm() / again.norm()) == pytest.approx(second, rel=1e-4)


def test_a_map_of_norm_zero_has_norm_zero():
    layer = nn.Conv1d(3, 2, 3)
    nn.init.zeros_(layer.weight)
    norm, vector = quick_norms([layer], (3, 4), [None], 5)[0]
    assert norm == 0.0
    assert vector.norm() == pytest.approx(1.0)


@pytest.mark.parametrize("name", LAYERS)
def test_several_side_by_side_are_as_each_alone(name):
    layer, shape = LAYERS[name]
    layers = [copy.deepcopy(layer) for _ in range(3)]
    for factor, other in enumerate(layers, start=1):
        with torch.no_grad():
            other.weight.add_(torch.randn_like(other.weight), alpha=factor)
    start = torch.randn(1, *shape)
    starts = [None, start, start]
    together = quick_norms(layers, shape, starts, 8)
    for other, one_start, (norm, vector) in zip(layers, starts, together, strict=True):
        alone, vector_alone = quick_norms([other], shape, [one_start], 8)[0]
        assert norm == pytest.approx(alone, rel=1e-5)
        # Unit vectors, alike up to their sign.
        for unit in (vector, vector_alone):
            assert float(unit.norm()) == pytest.approx(1.0, abs=1e-5)
        assert abs(float((vector * vector_alone).sum())) >= 1 - 1e-6


def test_nothing_is_touched():
    layer = nn.Conv2d(3, 4, 3, padding=1)
    state = torch.get_rng_state()
    quick_norms([layer], (3, 5, 5), [None], 4)
    assert layer.weight.grad is None
    assert layer.weight.requires_grad
    assert torch.equal(torch.get_rng_state(), state)
