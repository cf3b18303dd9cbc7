"""Orthogonal convolution kernels composed of two-tap factors: block convolution.

A frame V with orthonormal columns gives the projector P = V V^T and the factor [P, I - P], a kernel of two taps along
one axis that is orthogonal: |P + (I - P) z| = 1 for every |z| = 1. Frames with columns shorter than 1 give a factor of
norm 1 all the same. Kernels here have their channels in front, `(groups, channels, rest, height, width)`, where
`channels` is the axis that the factors act on.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from onelip.linalg.polar import polar_factor

HEIGHT, WIDTH = -2, -1

_SWEEPS = 100
"""Largest number of sweeps of `fit_factors`; each costs about two compositions."""

_STAGNATION = 1e-3
"""Growth of the inner product, relative to how much it could still grow, below which `fit_factors` stops."""


def factor_axes(vertical: int, horizontal: int) -> list[int]:
    """Order the factors of a kernel: alternating between the axes, the rest of the longer axis last.

    Args:
        vertical: Number of vertical factors.
        horizontal: Number of horizontal factors.

    Returns:
        The axis of each factor, -2 or -1.
    """
    both = min(vertical, horizontal)
    return [HEIGHT, WIDTH] * both + [HEIGHT] * (vertical - both) + [WIDTH] * (horizontal - both)


def compose_factors(x: Tensor, frames: Tensor, axes: list[int]) -> Tensor:
    """Apply the factors one after the other to a kernel, each making it a tap longer.

    Args:
        x: (groups, channels, rest, h, w), the kernel to start from.
        frames: (n, groups, channels, rank), columns orthonormal.
        axes: The axis of each of the n factors, as `factor_axes` orders them.

    Returns:
        (groups, channels, rest, h + vertical, w + horizontal).

    Cost: 4 channels^2 rest h w operations for each factor at rank channels / 2.
    """
    for frame, axis in zip(frames.unbind(0), axes, strict=True):
        x = _step(x, frame, axis)
    return x


def fit_factors(target: Tensor, axes: list[int], rank: int) -> tuple[Tensor, Tensor]:
    """Find a matrix and frames whose composed kernel is near a given one.

    Orthogonal kernels of one shape all have the same Frobenius norm, so the nearest has the largest inner product
    with the target. First the factors are peeled off from the outside, exact for kernels of this class but for
    degenerate ones; then each factor in turn is replaced by the best one with the others fixed, which is an
    eigenvalue problem, and the matrix by a polar factor, until the inner product stops growing.

    Args:
        target: (groups, channels, rest, kh, kw), any kernel, float64.
        axes: The axis of each factor.
        rank: Rank of every projector.

    Returns:
        The kernel to start from, (groups, channels, rest, h, w), semi-orthogonal as a matrix from (channels, h, w) to
        rest or back, and frames (n, groups, channels, rank).

    Cost: at most 101 sweeps of two compositions and n eigenvalue problems.
    """
    frames: list[Tensor] = []
    rest = target
    for axis in reversed(axes):
        size = rest.shape[axis]
        frames.insert(0, _top_frame(_gram(rest.narrow(axis, 0, 1)) - _gram(rest.narrow(axis, size - 1, 1)), rank))
        rest = _step_back(rest, frames[0], axis)
    start = _polar(rest)
    reached = _inner(target, start, frames, axes, rank)
    # By Cauchy and Schwarz, since the factors keep the Frobenius norm.
    limit = float(target.norm() * start.norm()) * (1 - 1e-15)
    for _ in range(_SWEEPS if axes else 0):
        start, frames = _sweep(target, frames, axes, rank)
        before, reached = reached, _inner(target, start, frames, axes, rank)
        if reached - before <= _STAGNATION * (limit - reached):
            break
    return start, _stacked(frames, target, rank)


def _inner(target: Tensor, start: Tensor, frames: list[Tensor], axes: list[int], rank: int) -> float:
    return float((target * compose_factors(start, _stacked(frames, target, rank), axes)).sum())


def _step(x: Tensor, frame: Tensor, axis: int) -> Tensor:
    # y[t] = P x[t] + (I - P) x[t - 1].
    inside = _project(x, frame)
    return _pad(inside, axis, 0, 1) + _pad(x - inside, axis, 1, 0)


def _step_back(y: Tensor, frame: Tensor, axis: int) -> Tensor:
    # The adjoint, x[t] = P y[t] + (I - P) y[t + 1]; it undoes `_step`.
    size = y.shape[axis] - 1
    return _project(y.narrow(axis, 0, size) - y.narrow(axis, 1, size), frame) + y.narrow(axis, 1, size)


def _project(x: Tensor, frame: Tensor) -> Tensor:
    return (frame @ (frame.mT @ x.flatten(2))).view_as(x)


def _pad(x: Tensor, axis: int, before: int, after: int) -> Tensor:
    return F.pad(x, (0, 0, before, after) if axis == HEIGHT else (before, after))


def _gram(x: Tensor) -> Tensor:
    flat = x.flatten(2)
    return flat @ flat.mT


def _top_frame(symmetric: Tensor, rank: int) -> Tensor:
    return torch.linalg.eigh(symmetric).eigenvectors[..., symmetric.shape[-1] - rank :]


def _polar(x: Tensor) -> Tensor:
    # As a matrix whose longer side is (channels, height, width) if that is longer than `rest`.
    groups, channels, rest, height, width = x.shape
    matrix = x.transpose(1, 2).reshape(groups, rest, channels * height * width)
    return polar_factor(matrix).reshape(groups, rest, channels, height, width).transpose(1, 2)


def _stacked(frames: list[Tensor], like: Tensor, rank: int) -> Tensor:
    return torch.stack(frames) if frames else like.new_zeros(0, like.shape[0], like.shape[1], rank)


def _sweep(target: Tensor, frames: list[Tensor], axes: list[int], rank: int) -> tuple[Tensor, list[Tensor]]:
    # <K, target> = <x, y> for x what the first factors make of the start and y what the adjoints of the others make
    # of the target. In P it is the trace of P (d y^T), d[t] = x[t] - x[t - 1], so the best P is a sum of eigenvectors.
    targets = [target]
    for frame, axis in zip(reversed(frames), reversed(axes), strict=True):
        targets.append(_step_back(targets[-1], frame, axis))
    start = x = _polar(targets.pop())
    improved = []
    for axis in axes:
        y = targets.pop()
        difference = (_pad(x, axis, 0, 1) - _pad(x, axis, 1, 0)).flatten(2)
        gradient = difference @ y.flatten(2).mT
        improved.append(_top_frame(gradient + gradient.mT, rank))
        x = _step(x, improved[-1], axis)
    return start, improved
