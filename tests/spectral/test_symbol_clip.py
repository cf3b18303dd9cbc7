"""Clipping of layers by their symbols, against dense singular values."""

import pytest
import torch
from tests.spectral.dense_values import dense_values
from torch import nn

from onelip.spectral.symbol_clip import SymbolClip, has_symbol

KINDS = {
    "dense": (lambda: nn.Linear(12, 9), (12,)),
    "tokens": (lambda: nn.Linear(5, 4), (3, 5)),
    "pointwise": (lambda: nn.Conv2d(6, 5, 1, stride=2), (6, 5, 5)),
    "small": (lambda: nn.Conv2d(5, 5, 3, padding=1), (5, 4, 4)),
    "large": (lambda: nn.Conv2d(3, 4, 3, padding=1), (3, 13, 13)),
    "strided": (lambda: nn.Conv2d(4, 6, 3, stride=2, padding=1), (4, 9, 8)),
    "dilated": (lambda: nn.Conv1d(3, 4, 3, dilation=2, padding="same"), (3, 11)),
    "circular": (lambda: nn.Conv2d(3, 4, 3, padding=1, padding_mode="circular"), (3, 6, 6)),
    "depthwise": (lambda: nn.Conv2d(4, 4, 3, padding=1, groups=4), (4, 7, 7)),
    "transposed": (lambda: nn.ConvTranspose2d(4, 3, 3, stride=2), (4, 4, 4)),
    "half": (lambda: nn.Conv2d(5, 5, 3, padding=1, dtype=torch.bfloat16), (5, 6, 6)),
}


def made(kind, factor=1.0):
    torch.manual_seed(0)
    make, shape = KINDS[kind]
    layer = make()
    with torch.no_grad():
        layer.weight.mul_(factor)
    assert has_symbol(layer, shape)
    return layer, shape


@pytest.mark.parametrize("bound", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("kind", KINDS)
def test_the_norm_is_at_most_the_bound_but_not_much_less_and_stays(kind, bound):
    layer, shape = made(kind, 3.0)
    before = float(dense_values(layer, shape)[0])
    clip = SymbolClip(layer, shape)
    done = clip.clip_(bound, 1e-2)
    after = float(dense_values(layer, shape)[0])
    assert done.moved == (before > bound * 1.01)
    assert min(0.93 * bound, before) <= after <= bound * 1.015
    assert done.norm == pytest.approx(after, rel=5e-2)
    kept = layer.weight.detach().clone()
    assert not clip.clip_(bound, 1e-2).moved
    assert torch.equal(layer.weight, kept)


@pytest.mark.parametrize("kind", ["small", "large", "dense"])
def test_what_is_below_stays_bit_for_bit(kind):
    layer, shape = made(kind)
    kept = layer.weight.detach().clone()
    bound = float(dense_values(layer, shape)[0]) * 1.02
    assert not SymbolClip(layer, shape).clip_(bound, 1e-2).moved
    assert torch.equal(layer.weight, kept)


def test_the_bias_and_the_parameter_stay():
    layer, shape = made("small", 3.0)
    weight, bias, place = layer.weight, layer.bias.detach().clone(), layer.weight.data_ptr()
    layer.weight.grad = torch.ones_like(layer.weight)
    SymbolClip(layer, shape).clip_(0.5, 1e-2)
    assert layer.weight is weight
    assert layer.weight.data_ptr() == place
    assert torch.equal(layer.bias, bias)
    assert torch.equal(layer.weight.grad, torch.ones_like(weight))


def test_layers_without_a_symbol_are_told_apart():
    hooked = nn.Linear(2, 2)
    hooked.register_forward_hook(lambda module, inputs, output: 2 * output)
    for layer, shape in (
        (nn.Conv2d(2, 2, 3, padding=1, padding_mode="reflect"), (2, 6, 6)),
        (nn.Conv2d(2, 2, 3, padding=1, stride=2, padding_mode="circular"), (2, 7, 6)),
        (nn.Sequential(nn.Conv2d(2, 2, 3), nn.BatchNorm2d(2)), (2, 6, 6)),
        (nn.AvgPool2d(2), (2, 6, 6)),
        (hooked, (2,)),
    ):
        assert not has_symbol(layer, shape)
