"""Norms at one image size are above the true one, and within one per cent."""

import pytest
import torch
from tests.linalg.convolution.image_sizes import MODES, ROUNDING, cases, norm_from_below, transposed_cases, true_norm
from tests.linalg.matrices import orthogonal_kernel
from torch import nn

from onelip.linalg import conv_norm_at, conv_norm_bound, conv_norm_size_free, conv_transpose_norm_at
from onelip.linalg.convolution import norm_at

GENERAL_GAP = 0.01
ORTHOGONAL_GAP = 1e-6

ONES = {"stride": (1, 1), "dilation": (1, 1), "groups": 1}


def same(weight, sizes, mode="zeros"):
    pads = [((k - 1) // 2, k // 2) for k in weight.shape[2:]]
    return conv_norm_at(weight, sizes, pads=pads, mode=mode, **ONES)


def layer_of(weight, mode="zeros"):
    out, inner, *kernel = weight.shape
    layer = nn.Conv2d(inner, out, kernel, padding=kernel[0] // 2, padding_mode=mode, bias=False)
    layer.weight.data = weight
    return layer


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("axes", "n"), [(1, 15), (2, 25), (3, 12)])
def test_padded_convolutions(axes, n, mode):
    for case in cases(n, axes, (mode,), seed=5):
        exact = true_norm(case.layer, case.shape)
        bound = conv_norm_at(case.weight, case.shape[1:], **case.options)
        assert bound.proved
        # Where all weights meet zeros, the norm is 0.
        assert exact * (1 - ROUNDING) <= bound.value <= exact * (1 + GENERAL_GAP) + 1e-12


@pytest.mark.parametrize(("axes", "n"), [(1, 15), (2, 25), (3, 12)])
def test_transposed_convolutions(axes, n):
    for case in transposed_cases(n, axes, seed=6):
        exact = true_norm(case.layer, case.shape)
        bound = conv_transpose_norm_at(case.weight, case.shape[1:], **case.options).value
        assert exact * (1 - ROUNDING) <= bound <= exact * (1 + GENERAL_GAP) + 1e-12


@pytest.mark.parametrize("mode", ["zeros", "circular"])
@pytest.mark.parametrize("size", [3, 4, 8, 12])
def test_orthogonal_kernels_are_exact(mode, size):
    weight = orthogonal_kernel(4, 3).float()
    exact = true_norm(layer_of(weight, mode), (4, size, size))
    assert exact * (1 - ROUNDING) <= same(weight, (size, size), mode).value <= exact * (1 + ORTHOGONAL_GAP)


def test_orthogonal_kernels_need_no_factorisation(monkeypatch):
    monkeypatch.setattr(norm_at, "operators_norm_bound", None)
    assert same(orthogonal_kernel(16, 3), (16, 16)).method == "residual"


@pytest.mark.parametrize("exponent", [-1000, -40, 40, 1000])
def test_scale(exponent):
    weight = torch.randn(3, 3, 3, 3, dtype=torch.float64)
    scaled = same(weight * 2.0**exponent, (5, 5)).value
    assert scaled * 2.0**-exponent == pytest.approx(same(weight, (5, 5)).value, rel=1e-12)


@pytest.mark.parametrize(("mode", "channels", "size"), [("zeros", 16, 16), ("reflect", 6, 16), ("zeros", 3, 32)])
def test_larger_images(mode, channels, size):
    layer = nn.Conv2d(channels, channels, 3, padding=1, padding_mode=mode, bias=False)
    below = norm_from_below(layer, (channels, size, size), 60)
    assert below <= same(layer.weight, (size, size), mode).value <= below * (1 + GENERAL_GAP)


@pytest.mark.parametrize("size", [12, 16])
def test_frequencies_of_one_axis_are_within_one_per_cent(monkeypatch, size):
    for name in ("_CHEAP", "_USUAL"):
        monkeypatch.setattr(norm_at, name, 0.0)
    layer = nn.Conv2d(8, 8, 3, padding=1, bias=False)
    below = norm_from_below(layer, (8, size, size), 80)
    bound = same(layer.weight, (size, size))
    assert bound.method == "frequencies and pixels"
    assert below <= bound.value <= below * (1 + GENERAL_GAP)
    assert bound.value < conv_norm_bound(layer.weight).value


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("axes", [1, 2, 3])
def test_what_is_tried_first_does_not_matter(monkeypatch, axes, mode):
    # With no budget for pixels, bounds are looser but still bounds.
    for name in ("_CHEAP", "_USUAL"):
        monkeypatch.setattr(norm_at, name, 0.0)
    monkeypatch.setattr(norm_at, "_FAIR", 1e9)
    monkeypatch.setattr(norm_at, "_LOOSE", 1e9)
    for case in cases(3, axes, (mode,), seed=7):
        bound = conv_norm_at(case.weight, case.shape[1:], **case.options).value
        assert true_norm(case.layer, case.shape) <= bound * (1 + ROUNDING)


def test_large_images_cost_no_more_than_every_size():
    weight = torch.randn(4, 4, 3, 3)
    assert same(weight, (224, 224)) == conv_norm_bound(weight)


def test_copies_count_for_every_size():
    weight = torch.randn(2, 2, 3)
    once = conv_norm_size_free(weight, stride=(1,), dilation=(1,), groups=1)
    twice = conv_norm_size_free(weight, stride=(1,), dilation=(1,), groups=1, copies=2)
    assert once.value * 2**0.5 <= twice.value <= once.value * 2**0.5 * (1 + 1e-15)


def test_strides_that_spoil_a_ring_leave_out_outputs(monkeypatch):
    for name in ("_CHEAP", "_USUAL", "_MOST"):
        monkeypatch.setattr(norm_at, name, 0.0)
    layer = nn.Conv2d(2, 2, 3, 2, 1, padding_mode="circular", bias=False)
    options = {"stride": (2, 2), "dilation": (1, 1), "groups": 1, "pads": [(1, 1)] * 2, "mode": "circular"}
    bound = conv_norm_at(layer.weight, (7, 7), **options).value
    assert true_norm(layer, (2, 7, 7)) <= bound <= conv_norm_bound(layer.weight).value


def test_wrong_arguments():
    weight = torch.ones(3, 1, 3, 3)
    with pytest.raises(ValueError, match="groups=2 does not divide the 3 channels"):
        conv_norm_at(weight, (4, 4), stride=(1, 1), dilation=(1, 1), groups=2, pads=[(0, 0)] * 2)
    with pytest.raises(ValueError, match="leaves no output"):
        conv_norm_at(weight, (2, 4), pads=[(0, 0)] * 2, **ONES)
    with pytest.raises(ValueError, match="NaN or infinite"):
        same(torch.full((1, 1, 3, 3), float("nan")), (4, 4))
    assert same(torch.zeros(1, 1, 3, 3), (4, 4)).value == 0


def test_reflected_pixels_are_worth_a_minute(monkeypatch):
    weight = torch.randn(4, 4, 3, 3, generator=torch.Generator().manual_seed(0))
    true = true_norm(layer_of(weight, "reflect"), (4, 6, 6))
    for name in ("_CHEAP", "_USUAL", "_MOST"):
        monkeypatch.setattr(norm_at, name, 0.0)
    bound = same(weight, (6, 6), "reflect")
    assert bound.method == "pixels"
    assert true * (1 - ROUNDING) <= bound.value <= true * 1.00001
    monkeypatch.setattr(norm_at, "_PATIENT", 0.0)
    assert same(weight, (6, 6), "reflect").value > 1.05 * true
