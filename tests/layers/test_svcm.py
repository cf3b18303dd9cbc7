"""SVCM: 1-Lipschitz between projections; a projection clips singular values and keeps kernels of norm 1."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.layers.conv_grid import case_name, largest_gain, randomised, sampled_cases
from tests.layers.dense import singular_values

from onelip.layers import OSSNConv2d, SVCMConv2d
from onelip.layers.svcm import clip_singular_values
from onelip.linalg import conv_singular_values


@pytest.mark.parametrize("case", sampled_cases(20, seed=2), ids=case_name)
def test_norm_over_shapes_before_and_after_projection(case):
    layer = randomised(SVCMConv2d, case)
    for _ in range(2):
        norm, bound = largest_gain(layer, case), layer.lipschitz_bound()
        assert norm <= 1 + 1e-10
        assert norm <= bound.value <= 1.02
        assert bound.proved
        layer.project_(max_steps=3)


def _clipped_by_numpy(kernel: np.ndarray, size: int) -> np.ndarray:
    # Sedghi, Gupta and Long 2019, section 3: transform, clip, transform back, crop.
    spectrum = np.fft.fft2(kernel.transpose(2, 3, 0, 1), (size, size), axes=[0, 1])
    u, d, v = np.linalg.svd(spectrum, compute_uv=True, full_matrices=False)
    clipped = np.matmul(u * np.minimum(d, 1)[..., None, :], v)
    back = np.fft.ifft2(clipped, axes=[0, 1]).real
    return back[: kernel.shape[2], : kernel.shape[3]].transpose(2, 3, 0, 1)


@pytest.mark.parametrize("shape", [(4, 6, 3, 3), (5, 2, 2, 2), (3, 3, 1, 1)])
def test_steps_are_those_of_the_paper(shape):
    kernel = torch.randn(shape, dtype=torch.float64)
    expected = kernel.numpy()
    for steps in (1, 2, 3):
        expected = _clipped_by_numpy(expected, max(1, 8 * (shape[2] - 1)))
        found, taken = clip_singular_values(kernel, tol=0, max_steps=steps)
        assert taken <= steps
        np.testing.assert_allclose(found.numpy(), expected, atol=1e-12)


@pytest.mark.parametrize(
    ("shape", "options"),
    [
        ((6, 4, 3, 3), {}),
        ((8, 8, 2, 2), {}),
        ((8, 2, 3, 3), {"groups": 2}),
        ((12, 3, 3, 3), {"stride": (2, 2)}),
        ((4, 3, 3, 3), {"stride": (2, 1), "dilation": (2, 1)}),
    ],
    ids=str,
)
def test_projection_reaches_norm_one(shape, options):
    kernel = torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    found, steps = clip_singular_values(10 * kernel, **options)
    assert 0 < steps <= 50
    size = tuple(24 * s for s in options.get("stride", (1, 1)))
    largest = float(conv_singular_values(found, size, **options)[0])
    assert 0.99 < largest <= 1.02
    again, more = clip_singular_values(found, **options)
    assert more == 0 or steps == 50
    if more == 0:
        assert torch.equal(again, found)


def test_projection_is_the_nearest_for_one_tap():
    # Both sets are the same for one tap: clipped singular values are the nearest matrix of norm 1.
    kernel = 3 * torch.randn(5, 4, 1, 1, dtype=torch.float64)
    u, s, vh = torch.linalg.svd(kernel[:, :, 0, 0], full_matrices=False)
    found, steps = clip_singular_values(kernel)
    assert steps == 1
    torch.testing.assert_close(found[:, :, 0, 0], u @ torch.diag(s.clamp_max(1)) @ vh)


def test_projection_keeps_more_than_division():
    layer, divided = SVCMConv2d(6, 6, 3, padding=1, padding_mode="circular"), OSSNConv2d(6, 6, 3, padding=1)
    target = torch.randn(6, 6, 3, 3)
    with torch.no_grad():
        layer.raw_weight.copy_(target)
    divided.weight = target
    steps = layer.project_()
    assert steps > 0
    assert (layer.weight - target).norm() < (divided.weight - target).norm()
    values = singular_values(layer, (6, 8, 8))
    assert values[0] <= 1 + 1e-6
    assert values.median() > 0.7


def test_kernels_in_the_set_are_kept_to_the_bit():
    layer = SVCMConv2d(4, 4, 3)
    with torch.no_grad():
        layer.raw_weight.copy_(0.01 * torch.randn(4, 4, 3, 3))
    before = layer.raw_weight.detach().clone()
    assert layer.project_() == 0
    assert torch.equal(layer.raw_weight, before)
    assert torch.equal(layer.weight, before)


def test_more_steps_come_nearer():
    kernel = 10 * torch.randn(6, 4, 3, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    excesses = [
        float(conv_singular_values(clip_singular_values(kernel, tol=0, max_steps=n)[0], (24, 24))[0]) - 1
        for n in (1, 5, 50)
    ]
    assert excesses == sorted(excesses, reverse=True)
    assert excesses[-1] < 0.01


@pytest.mark.parametrize(("name", "value"), [("tol", -1.0), ("tol", float("nan")), ("max_steps", 0)])
def test_bad_arguments(name, value):
    with pytest.raises(ValueError, match=rf"{name}=.* in SVCMConv2d"):
        SVCMConv2d(4, 4, 3).project_(**{name: value})
