"""Composition of two-tap factors, its gradient, and its inverse."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from onelip.linalg import compose
from onelip.linalg.block_convolution import HEIGHT, WIDTH, compose_factors, factor_axes, fit_factors
from onelip.linalg.polar import polar_factor


def _frames(n: int, groups: int, channels: int, rank: int) -> Tensor:
    return torch.linalg.qr(torch.randn(n, groups, channels, rank, dtype=torch.float64))[0]


def _start(groups: int, channels: int, size: tuple[int, int], rest: int) -> Tensor:
    x = torch.randn(groups, channels, *size, rest, dtype=torch.float64)
    return polar_factor(x.flatten(1, 3)).view_as(x)


def test_axes_alternate() -> None:
    assert factor_axes(2, 3) == [HEIGHT, WIDTH, HEIGHT, WIDTH, WIDTH]
    assert factor_axes(2, 0) == [HEIGHT, HEIGHT]


def test_composition_is_that_of_explicit_factors() -> None:
    start, frames, axes = _start(1, 4, (1, 1), 3), _frames(3, 1, 4, 2), factor_axes(1, 2)
    expected = start[0].permute(0, 3, 1, 2)
    for frame, axis in zip(frames[:, 0], axes, strict=True):
        p = frame @ frame.mT
        factor = torch.stack([p, torch.eye(4).double() - p], -1)
        expected = compose(factor[:, :, :, None] if axis == HEIGHT else factor[:, :, None, :], expected)
    found = compose_factors(start, frames, axes)[0].permute(0, 3, 1, 2)
    torch.testing.assert_close(found, expected, atol=1e-14, rtol=0)


def test_first_and_second_derivatives() -> None:
    x = torch.randn(2, 3, 1, 2, 1, dtype=torch.float64, requires_grad=True)
    frames = torch.randn(3, 2, 3, 1, dtype=torch.float64, requires_grad=True)

    def function(x: Tensor, frames: Tensor) -> Tensor:
        return compose_factors(x, frames, [HEIGHT, WIDTH, WIDTH])

    assert torch.autograd.gradcheck(function, (x, frames))
    assert torch.autograd.gradgradcheck(function, (x, frames))
    # Laid out otherwise in memory.
    other = x.detach().transpose(1, 4).contiguous().transpose(1, 4).requires_grad_()
    assert torch.autograd.gradcheck(function, (other, frames))


def test_transforms_agree_with_eager_mode() -> None:
    x, frames, axes = _start(1, 4, (1, 1), 4), _frames(2, 1, 4, 2), factor_axes(1, 1)
    eager = torch.autograd.functional.jacobian(lambda f: compose_factors(x, f, axes), frames)
    traced = torch.func.jacrev(lambda f: compose_factors(x, f, axes))(frames)
    torch.testing.assert_close(traced, eager, atol=1e-14, rtol=0)


RECOVERED = 1e-5
"""Largest entry off. Peeling is exact but for conditioning, which grows with the number of factors: 1e-15 to 1e-6."""

CASES = [
    # groups, channels, start, rest, vertical, horizontal, rank
    (1, 4, (1, 1), 4, 2, 2, 2),
    (1, 6, (1, 1), 3, 2, 2, 3),
    (2, 2, (1, 1), 2, 2, 2, 1),
    (1, 3, (2, 2), 8, 1, 1, 1),
    (1, 5, (1, 1), 5, 4, 4, 2),
    (1, 16, (1, 1), 16, 0, 6, 8),
    (1, 7, (3, 3), 5, 2, 1, 3),
    (3, 5, (1, 1), 4, 0, 0, 2),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_kernels_of_the_class_are_recovered(case) -> None:  # type: ignore[no-untyped-def]
    groups, channels, size, rest, vertical, horizontal, rank = case
    axes = factor_axes(vertical, horizontal)
    kernel = compose_factors(_start(groups, channels, size, rest), _frames(len(axes), groups, channels, rank), axes)
    start, frames = fit_factors(kernel, axes, rank)
    torch.testing.assert_close(compose_factors(start, frames, axes), kernel, atol=RECOVERED, rtol=0)


def test_fit_of_a_generic_kernel_is_orthogonal_and_nearer_than_chance() -> None:
    axes = factor_axes(2, 2)
    target = torch.randn(1, 8, 3, 3, 8, dtype=torch.float64)
    start, frames = fit_factors(target, axes, 4)
    fitted = compose_factors(start, frames, axes)
    eye = torch.eye(4, dtype=torch.float64)
    torch.testing.assert_close(frames.mT @ frames, eye.expand(4, 1, 4, 4), atol=1e-13, rtol=0)
    gains = [(compose_factors(_start(1, 8, (1, 1), 8), _frames(4, 1, 8, 4), axes) * target).sum() for _ in range(20)]
    assert (fitted * target).sum() > 2 * max(gains)
    assert abs(float(fitted.norm()) - 8**0.5) < 1e-12


def test_fit_does_not_touch_the_generator() -> None:
    before = torch.get_rng_state()
    fit_factors(torch.ones(1, 4, 3, 3, 4, dtype=torch.float64), factor_axes(2, 2), 2)
    assert torch.equal(before, torch.get_rng_state())
