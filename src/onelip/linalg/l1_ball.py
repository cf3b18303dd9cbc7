"""The L1 ball: exact projection of rows onto it, and proved L1 norms."""

from __future__ import annotations

import torch
from torch import Tensor

from onelip.linalg.bound import Bound
from onelip.linalg.norms import finite_double, power_of_two_scale, scaled_bound, sum_up


def project_onto_l1_ball(rows: Tensor) -> Tensor:
    """Project every row onto the L1 ball of radius 1: the nearest row in l2 whose absolute values sum to at most 1.

    Rows in the ball come back to the bit. Others become sign(v) max(|v| - theta, 0) with the theta that makes the sum
    1, found by sorting. The threshold is reckoned from the row's largest entry, from which those that survive are less
    than 1 away, so that large rows lose no digits.

    Args:
        rows: (..., n), floating point of any scale.

    Returns:
        Rows of the same shape. The gradient is that of the projection almost everywhere, and finite everywhere.

    Cost: one sort per row.
    Paper: Duchi, Shalev-Shwartz, Singer and Chandra 2008, figure 1.
    """
    size = rows.abs()
    inside = size.detach().sum(-1, keepdim=True) <= 1
    drop = size - size.amax(-1, keepdim=True)
    falling = drop.sort(-1, descending=True).values
    sums = falling.cumsum(-1) - 1
    counts = torch.arange(1, rows.shape[-1] + 1, device=rows.device, dtype=rows.dtype)
    # At least one, but for rows with a NaN.
    survivors = (falling.detach() * counts > sums.detach()).sum(-1, keepdim=True).clamp_min(1)
    theta = sums.gather(-1, survivors - 1) / survivors
    shrunk = (drop - theta).clamp_min(0) * rows.detach().sign()
    # What rounding leaves above 1 is taken off, as a constant.
    shrunk = shrunk / shrunk.detach().abs().sum(-1, keepdim=True).clamp_min(1)
    return torch.where(inside, rows, shrunk)


def l1_norm_bound(rows: Tensor) -> Bound:
    """Prove an upper bound of the largest L1 norm of the rows: the norm of the matrix from l_inf to l_inf.

    Args:
        rows: (..., n), real floating point; converted exactly to float64.

    Returns:
        The proved bound, within n units in the last place.

    Raises:
        ValueError: If `rows` is not real floating point or has a non-finite entry.
    """
    x = finite_double(rows, "rows")
    if not bool(x.any()):
        return Bound(0.0, True, "zero")
    x, exponent = power_of_two_scale(x)
    value = float(sum_up(x.abs().sum(-1), x.shape[-1]).max())
    return scaled_bound(value, exponent, "row sums")
