"""Orthogonal convolution kernels composed of two-tap factors: block convolution.

A frame V with orthonormal columns gives the projector P = V V^T and the factor [P, I - P], a kernel of two taps along
one axis that is orthogonal: |P + (I - P) z| = 1 for every |z| = 1. Frames with columns shorter than 1 give a factor of
norm 1 all the same. Kernels here are laid out `(groups, channels, height, width, rest)`, where `channels` is the axis
that the factors act on, so that shifting along an image axis moves whole runs of memory.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from onelip.linalg.polar import polar_factor
from onelip.linalg.stiefel import may_look_at_values

HEIGHT, WIDTH = 2, 3

_SWEEPS = 300
"""Largest number of sweeps of `fit_factors`; each costs about two compositions."""

_STAGNATION = 1e-4
"""Growth of the inner product, relative to how much it could still grow, below which `fit_factors` stops."""


def factor_axes(vertical: int, horizontal: int) -> list[int]:
    """Order the factors of a kernel: alternating between the axes, the rest of the longer axis last.

    Args:
        vertical: Number of vertical factors.
        horizontal: Number of horizontal factors.

    Returns:
        The axis of each factor, 2 (height) or 3 (width).
    """
    both = min(vertical, horizontal)
    return [HEIGHT, WIDTH] * both + [HEIGHT] * (vertical - both) + [WIDTH] * (horizontal - both)


def compose_factors(x: Tensor, frames: Tensor, axes: list[int]) -> Tensor:
    """Apply the factors one after the other to a kernel, each making it a tap longer.

    Args:
        x: (groups, channels, h, w, rest), the kernel to start from.
        frames: (n, groups, channels, rank), columns orthonormal.
        axes: The axis of each of the n factors, as `factor_axes` orders them.

    Returns:
        (groups, channels, h + vertical, w + horizontal, rest).

    Cost: 4 channels^2 rest h w operations for each factor at rank channels / 2.
    """
    transformed = torch._C._functorch.peek_interpreter_stack() is not None
    if may_look_at_values(x) and may_look_at_values(frames) and not transformed:
        composed: Tensor = _Composition.apply(x, frames, axes)
        return composed
    return _compose(x, frames, axes)


def fit_factors(
    target: Tensor, axes: list[int], rank: int | None, guess: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Find a matrix and frames whose composed kernel is near a given one.

    Orthogonal kernels of one shape all have the same Frobenius norm, so the nearest has the largest inner product
    with the target. First the factors are peeled off from the outside, exact for kernels of this class but for
    degenerate ones; then each factor in turn is replaced by the best one with the others fixed, which is an
    eigenvalue problem, and the matrix by a polar factor, until the inner product stops growing.

    Args:
        target: (groups, channels, kh, kw, rest), any kernel, float64.
        axes: The axis of each factor.
        rank: Rank of every projector, or None for the best rank of each.
        guess: Frames to begin with if they are better than what peeling gives, (n, groups, channels, rank).

    Returns:
        The kernel to start from, (groups, channels, h, w, rest), semi-orthogonal as a matrix from (channels, h, w) to
        rest or back, and frames (n, groups, channels, rank). Without a given rank they are square, and columns beyond
        the rank found are zero.

    Cost: at most 300 sweeps of two compositions and n eigenvalue problems.
    """
    start, frames = _peel(target, axes, rank)
    reached = _inner(target, start, frames, axes, rank)
    if guess is not None:
        other = _best_start(target, list(guess.unbind(0)), axes), list(guess.unbind(0))
        if _inner(target, *other, axes, rank) > reached:
            start, frames = other
            reached = _inner(target, start, frames, axes, rank)
    # By Cauchy and Schwarz, since the factors keep the Frobenius norm.
    limit = float(target.norm() * start.norm()) * (1 - 1e-15)
    for _ in range(_SWEEPS if axes else 0):
        start, frames = _sweep(target, frames, axes, rank)
        before, reached = reached, _inner(target, start, frames, axes, rank)
        if reached - before <= _STAGNATION * (limit - reached):
            break
    return start, _stacked(frames, target, rank)


class _Composition(torch.autograd.Function):
    """`_compose` with a backward pass of half the operations, whose overhead counts at this size."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, frames: Tensor, axes: list[int]) -> Tensor:
        kernels, coordinates = [x], []
        for frame, axis in zip(frames.unbind(0), axes, strict=True):
            coordinates.append(torch.bmm(frame.mT, kernels[-1].flatten(2)))
            inside = torch.bmm(frame, coordinates[-1]).view_as(kernels[-1])
            kernels.append(_longer(kernels[-1], inside, axis))
        ctx.axes = axes
        ctx.save_for_backward(x, frames, *kernels[1:-1], *coordinates)
        return kernels[-1]

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        (gradient,) = gradients
        first, frames, *saved = ctx.saved_tensors
        if torch.is_grad_enabled():
            # For second derivatives: the saved kernels are not part of the graph, the inputs are.
            composed = _compose(first, frames, ctx.axes)
            of_first, of_frames = torch.autograd.grad(composed, (first, frames), gradient, create_graph=True)
            return of_first, of_frames, None
        # One copy instead of strided reads at every factor.
        gradient = gradient.contiguous()
        n = len(ctx.axes)
        kernels, coordinates = [first, *saved[: n - 1]], saved[n - 1 :]
        of_each = torch.empty_like(frames)
        for i in reversed(range(n)):
            axis, x, frame = ctx.axes[i], kernels[i], frames[i]
            size = x.shape[axis]
            ahead = gradient.narrow(axis, 1, size)
            # y = [0, x] + P ([x, 0] - [0, x]), so dx = ahead + P d and dP = d x^T, d = gradient[:size] - ahead.
            d = (gradient.narrow(axis, 0, size) - ahead).flatten(2)
            projected = torch.bmm(frame.mT, d)
            torch.bmm(d, coordinates[i].mT, out=of_each[i])
            of_each[i].baddbmm_(x.flatten(2), projected.mT)
            gradient = torch.baddbmm(ahead.flatten(2), frame, projected).view_as(x)
        return gradient, of_each, None


def _compose(x: Tensor, frames: Tensor, axes: list[int]) -> Tensor:
    for frame, axis in zip(frames.unbind(0), axes, strict=True):
        x = _step(x, frame, axis)
    return x


def _inner(target: Tensor, start: Tensor, frames: list[Tensor], axes: list[int], rank: int | None) -> float:
    return float((target * compose_factors(start, _stacked(frames, target, rank), axes)).sum())


def _step(x: Tensor, frame: Tensor, axis: int) -> Tensor:
    # y[t] = P x[t] + (I - P) x[t - 1].
    inside = _project(x, frame)
    return _pad(inside, axis, 0, 1) + _pad(x, axis, 1, 0) - _pad(inside, axis, 1, 0)


def _longer(x: Tensor, inside: Tensor, axis: int) -> Tensor:
    # `_step` for inside = P x, in place and with half the memory traffic.
    size = x.shape[axis]
    shape = list(x.shape)
    shape[axis] += 1
    y = x.new_empty(shape)
    y.narrow(axis, 0, size).copy_(inside)
    y.narrow(axis, size, 1).zero_()
    y.narrow(axis, 1, size).add_(x).sub_(inside)
    return y


def _step_back(y: Tensor, frame: Tensor, axis: int) -> Tensor:
    # The adjoint, x[t] = P y[t] + (I - P) y[t + 1]; it undoes `_step`.
    size = y.shape[axis] - 1
    return _project(y.narrow(axis, 0, size) - y.narrow(axis, 1, size), frame) + y.narrow(axis, 1, size)


def _project(x: Tensor, frame: Tensor) -> Tensor:
    return torch.bmm(frame, torch.bmm(frame.mT, x.flatten(2))).view_as(x)


def _pad(x: Tensor, axis: int, before: int, after: int) -> Tensor:
    return F.pad(x, (0, 0, 0, 0, before, after) if axis == HEIGHT else (0, 0, before, after))


def _peel(target: Tensor, axes: list[int], rank: int | None) -> tuple[Tensor, list[Tensor]]:
    # The first tap of the last factor's output is in the range of its P, the last tap in the complement.
    frames: list[Tensor] = []
    rest = target
    for axis in reversed(axes):
        size = rest.shape[axis]
        frames.insert(0, _top_frame(_gram(rest.narrow(axis, 0, 1)) - _gram(rest.narrow(axis, size - 1, 1)), rank))
        rest = _step_back(rest, frames[0], axis)
    return _polar(rest), frames


def _best_start(target: Tensor, frames: list[Tensor], axes: list[int]) -> Tensor:
    for frame, axis in zip(reversed(frames), reversed(axes), strict=True):
        target = _step_back(target, frame, axis)
    return _polar(target)


def _gram(x: Tensor) -> Tensor:
    flat = x.flatten(2)
    return flat @ flat.mT


def _top_frame(symmetric: Tensor, rank: int | None) -> Tensor:
    eigenvalues, vectors = torch.linalg.eigh(symmetric)
    if rank is None:
        return vectors * (eigenvalues > 0).to(vectors.dtype)[..., None, :]
    return vectors[..., symmetric.shape[-1] - rank :]


def _polar(x: Tensor) -> Tensor:
    return polar_factor(x.flatten(1, 3)).reshape(x.shape)


def _stacked(frames: list[Tensor], like: Tensor, rank: int | None) -> Tensor:
    columns = like.shape[1] if rank is None else rank
    return torch.stack(frames) if frames else like.new_zeros(0, like.shape[0], like.shape[1], columns)


def _sweep(target: Tensor, frames: list[Tensor], axes: list[int], rank: int | None) -> tuple[Tensor, list[Tensor]]:
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
