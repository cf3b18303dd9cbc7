"""Suprema of singular values over all frequencies in float64: a fine grid, then a finer one around the best points."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def symbol_supremum(taps: Tensor, points: int = 64, starts: int = 3) -> float:
    """The largest eigenvalue of sum over l of A_l exp(i l w) over w.

    Args:
        taps: (c, c, 2 L_h + 1, 2 L_w + 1), lag 0 in the middle.
        points: Per dimension of the first grid.
        starts: How many of its points are searched around.

    Returns:
        A value attained at some frequency, up to rounding, within about 1e-9 of the supremum.
    """
    grids = [torch.arange(points if n > 1 else 1, dtype=torch.float64) * (2 * math.pi / points) for n in taps.shape[2:]]
    where = torch.cartesian_prod(*grids)
    values = _tops(taps, where)
    best = float(values.max())
    for start in where[values.topk(min(starts, len(values))).indices]:
        center, width = start, 2 * math.pi / points
        for _ in range(12):
            side = torch.linspace(-width, width, 9, dtype=torch.float64)
            near = center + torch.cartesian_prod(side, side)
            found = _tops(taps, near)
            best, center, width = max(best, float(found.max())), near[int(found.argmax())], width / 3
    return best


def _tops(taps: Tensor, where: Tensor) -> Tensor:
    phases = 1.0
    for axis, dim in ((0, -2), (1, -1)):
        lags = torch.arange(taps.shape[dim]) - taps.shape[dim] // 2
        phase = torch.exp(1j * where[:, axis : axis + 1] * lags)
        phases = phases * (phase[:, :, None] if axis == 0 else phase[:, None])
    matrices = torch.einsum("phw,abhw->pab", phases, taps.to(torch.complex128))
    return torch.linalg.eigvalsh(matrices)[:, -1]
