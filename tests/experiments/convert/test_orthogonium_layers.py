"""Weights of Orthogonium: each loaded layer is the formula of its paper, transcribed in float64."""

from __future__ import annotations

import pytest
import torch
from tests.experiments.convert import published_formulas as theirs

from onelip import layers
from onelip.experiments.convert import load_layer_
from onelip.experiments.convert.orthogonium_layers import two_tap_order
from onelip.experiments.errors import UserError

C = 6
DOUBLE = {"dtype": torch.float64}
ORIGINAL = "parametrizations.weight.original"


def random(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64)


def block_kernel(raw: torch.Tensor, kernel: int) -> torch.Tensor:
    """(I - 2 P_0)(I - 2 P_1), then 2x2 kernels of vertical and horizontal projectors, in pairs of both halves."""
    frames = torch.stack([theirs.polar(frame) for frame in raw])
    projectors = frames @ frames.mT
    eye = torch.eye(raw.shape[1], dtype=raw.dtype)
    taps = {(0, 0): (eye - 2 * projectors[0]) @ (eye - 2 * projectors[1])}
    vertical, horizontal = projectors[2 : 1 + kernel], projectors[1 + kernel :]
    twos = [
        {(a, b): left @ right for a, left in enumerate((v, eye - v)) for b, right in enumerate((h, eye - h))}
        for v, h in zip(vertical, horizontal, strict=True)
    ]
    while len(twos) % 2 == 0 and len(twos) > 1:
        half = len(twos) // 2
        twos = [composed(second, first) for first, second in zip(twos[:half], twos[half:], strict=True)]
    for two in twos:
        taps = composed(two, taps)
    return torch.stack([torch.stack([taps[i, j] for j in range(kernel)], -1) for i in range(kernel)], -2)


def composed(second: dict, first: dict) -> dict:
    total: dict[tuple[int, int], torch.Tensor] = {}
    for (i, j), left in second.items():
        for (a, b), right in first.items():
            total[i + a, j + b] = total.get((i + a, j + b), 0) + left @ right
    return total


@pytest.mark.parametrize("kernel", [2, 3, 4, 5])
def test_block_convolution(kernel):
    raw, bias = random(1, 2 * kernel, C, C // 2), random(C)
    layer = layers.conv2d("bcop", C, C, kernel, padding="same", padding_mode="circular", width_first=True, **DOUBLE)
    assert load_layer_(layer, "FastBlockConv2d", {ORIGINAL: raw, "bias": bias}).exact
    torch.testing.assert_close(layer.eval().weight, block_kernel(raw[0], kernel), atol=1e-9, rtol=0)
    assert torch.equal(layer.bias, bias)


@pytest.mark.parametrize(("into", "out"), [(4, C), (C, 4)])
def test_block_convolution_of_fewer_channels(into, out):
    raw = random(1, 6, C, C // 2)
    layer = layers.conv2d("bcop", into, out, 3, padding=1, width_first=True, **DOUBLE)
    load_layer_(layer, "FastBlockConv2d", {ORIGINAL: raw, "bias": random(out)})
    whole = block_kernel(raw[0], 3)[:, :4]
    torch.testing.assert_close(layer.eval().weight, whole if into < out else whole.transpose(0, 1), atol=1e-9, rtol=0)


def test_block_convolution_in_the_other_order_of_axes_is_fitted_or_refused():
    raw = random(1, 6, C, C // 2)
    layer = layers.conv2d("bcop", C, C, 3, padding=1, **DOUBLE)
    with pytest.raises(UserError, match=r"the layer: projected, the weight is .* of its norm away; --project"):
        load_layer_(layer, "FastBlockConv2d", {ORIGINAL: raw, "bias": random(C)})
    loaded = load_layer_(layer, "FastBlockConv2d", {ORIGINAL: raw, "bias": random(C)}, project=True)
    distance = float((layer.weight.detach() - block_kernel(raw[0], 3)).norm() / block_kernel(raw[0], 3).norm())
    assert f"{distance:.2g}" in loaded.note
    assert 0.01 < distance < 1


def test_the_order_of_two_tap_factors():
    assert [two_tap_order(n) for n in (0, 1, 2, 3, 4, 6)] == [
        [],
        [0],
        [0, 1],
        [0, 1, 2],
        [0, 2, 1, 3],
        [0, 3, 1, 4, 2, 5],
    ]


@pytest.mark.parametrize("out", [8, 24])
def test_reshaped_kernels_as_large_as_the_stride(out):
    raw, bias = random(out, 4, 2, 2), random(out)
    layer = layers.conv2d("aoc", 4, out, 2, stride=2, **DOUBLE)
    assert load_layer_(layer, "RKOConv2d", {ORIGINAL: raw, "bias": bias}).exact
    torch.testing.assert_close(layer.eval().weight, theirs.polar(raw.flatten(1)).reshape(raw.shape), atol=1e-6, rtol=0)


@pytest.mark.parametrize(("out", "between"), [(8, 4), (16, 4), (24, 6)])
def test_strided_convolutions_that_are_larger_than_their_stride(out, between):
    first, second = random(1, 4, between, between // 2), random(out, between, 2, 2)
    tensors = {"parametrizations.weight_1.original": first, "parametrizations.weight_2.original": second}
    layer = layers.conv2d("aoc", 4, out, 3, stride=2, padding=1, padding_mode="circular", **DOUBLE)
    load_layer_(layer, "BcopRkoConv2d", tensors | {"bias": random(out)})
    outer = theirs.polar(second.flatten(1)).reshape(second.shape)
    inner = block_kernel(first[0], 2)[:, :4]
    taps = composed(
        {(i, j): outer[:, :, i, j] for i in range(2) for j in range(2)},
        {(i, j): inner[:, :, i, j] for i in range(2) for j in range(2)},
    )
    kernel = torch.stack([torch.stack([taps[i, j] for j in range(3)], -1) for i in range(3)], -2)
    torch.testing.assert_close(layer.eval().weight, kernel, atol=1e-9, rtol=0)


@pytest.mark.parametrize(("into", "out"), [(4, 4), (4, 6), (6, 4)])
def test_aol(into, out):
    raw = random(out, into, 3, 3)
    layer = layers.conv2d("aol", into, out, 3, padding=1, **DOUBLE)
    load_layer_(layer, "AOLConv2D", {ORIGINAL: raw, "kernel": raw, "bias": random(out)})
    smaller = raw if out >= into else raw.transpose(0, 1).flip(2, 3)
    expected = theirs.aol(smaller)
    expected = expected if out >= into else expected.transpose(0, 1).flip(2, 3)
    torch.testing.assert_close(layer.eval().weight, expected, atol=1e-5, rtol=0)


def test_residual_blocks_whose_weights_q_cancel():
    kernel = random(8, 4, 3, 3)
    tensors = {"parametrizations.kernel.original": kernel, "bias": random(1, 8, 1, 1), "q": random(8, 1, 1, 1)}
    layer, x = layers.conv2d("sll", 4, 4, 3, padding=1, inner_channels=8, **DOUBLE), random(2, 4, 5, 5)
    load_layer_(layer, "SDPBasedLipschitzResBlock", tensors)
    sums = torch.nn.functional.conv2d(kernel, kernel, padding=2).abs().sum((1, 2, 3))
    scaled = kernel / sums.sqrt()[:, None, None, None]
    expected = theirs.residual(x, scaled, tensors["bias"].flatten(), torch.full((8,), 2.0, dtype=torch.float64))
    torch.testing.assert_close(layer.eval()(x), expected, atol=1e-9, rtol=0)


def test_dense_residual_blocks():
    weight, q, bias = random(4, 4), random(4), random(1, 4)
    layer, x = layers.linear("sll", 4, 4, **DOUBLE), random(2, 4)
    load_layer_(layer, "SDPBasedLipschitzDense", {"weight": weight, "q": q, "bias": bias})
    t = 1 / ((weight @ weight.T).abs() * (q.exp() / q.exp()[:, None])).sum(1)
    expected = x - 2 * (t * (x @ weight.T + bias).relu()) @ weight
    torch.testing.assert_close(layer.eval()(x), expected, atol=1e-9, rtol=0)


@pytest.mark.parametrize("name", ["bjorck", "polar-express", "newton-schulz", "aoc"])
def test_orthogonal_dense_layers(name):
    raw, bias = random(3, 5), random(3)
    layer, x = layers.linear(name, 5, 3, **DOUBLE), random(2, 5)
    load_layer_(layer, "OrthoLinear", {ORIGINAL: raw, "bias": bias})
    torch.testing.assert_close(layer.eval()(x), x @ theirs.polar(raw).T + bias, atol=1e-6, rtol=0)


def test_dense_layers_of_unit_rows():
    raw, bias = random(3, 5), random(3)
    layer, x = layers.linear("unit-norm", 5, 3, **DOUBLE), random(2, 5)
    load_layer_(layer, "UnitNormLinear", {ORIGINAL: raw, "bias": bias})
    torch.testing.assert_close(layer.eval()(x), x @ (raw / raw.norm(dim=1, keepdim=True)).T + bias, atol=1e-7, rtol=0)
