"""A bound of the norm of a convolution by a trigonometric polynomial on a grid."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from onelip.spectral.norm_estimates.problem import Problem
from onelip.spectral.norm_estimates.registry import register_norm


@register_norm("araujo", kind="upper", steps=50, paper="Araujo et al. 2021, arXiv:2006.08391 (LipGrid)")
def araujo(problem: Problem, steps: int) -> Tensor:
    """LipGrid, the largest Frobenius norm over all frequencies from those on a grid: an upper bound for every size.

    With K(w) = sum over taps of K_a exp(-i a w): ||K|| <= max over w of ||K(w)||_F. For a unit direction U the
    polynomial Re <U, K(w)> has degree d = (k - 1) / 2 along an axis (k / 2 for even k), so that its maximum is at most
    (1 - 2 d / n)^(-1/2) times that on n > 2 d equidistant points, for each axis. It holds for zero padding, and for
    circular padding that repeats no pixel, with any stride, which only drops outputs, dilation and groups. As
    published, the grid has its first point twice, so that the factor belongs to one point more than there is.

    Args:
        problem: A convolution of any padding but reflected and replicated.
        steps: Points of the grid along each axis, n.

    Returns:
        The bound.

    Raises:
        NotApplicableError: The padding repeats pixels.
        ValueError: There are too few points.

    Cost: out in k^4 + n^2 k^4 operations.
    """
    conv = problem.unrepeated("araujo")
    grouped = conv.weight.unflatten(0, (conv.groups, -1))
    sizes = tuple(grouped.shape[-2:])
    if steps <= max(k // 2 * 2 for k in sizes):
        raise ValueError(f"steps={steps} for norm estimate 'araujo' must exceed the kernel size {max(sizes)}")
    taps = grouped.flatten(3).flatten(1, 2)
    # ||K(w)||_F^2 is the quadratic form of the exponentials with this matrix.
    gram = taps.mT @ taps
    turns = torch.arange(steps, dtype=torch.float64, device=gram.device) * (2 * math.pi / steps)
    rows, columns = (turns[:, None] * torch.arange(k, device=gram.device) for k in sizes)
    angles = (rows[:, None, :, None] + columns[None, :, None, :]).reshape(steps**2, -1)
    waves = torch.stack([angles.cos(), angles.sin()])
    squares = torch.einsum("cfa,gab,cfb->gf", waves, gram, waves)
    excess = math.prod(1 / (1 - (k // 2 * 2) / steps) for k in sizes)
    largest = squares.amax(1).clamp_min(0) * excess
    positive = torch.where(largest > 0, largest, 1.0).sqrt()
    return torch.where(largest > 0, positive, 0.0).max()
