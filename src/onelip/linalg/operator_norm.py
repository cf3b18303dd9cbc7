"""Upper bound of the norm of a convolution that is exact for isometries, and kernels divided by it."""

from __future__ import annotations

import torch
from torch import Tensor

from onelip.linalg.gram_iteration import gram_norm
from onelip.linalg.gram_sums import gram_sums

Pair = tuple[int, int]


def operator_norm(
    kernel: Tensor,
    *,
    stride: Pair = (1, 1),
    dilation: Pair = (1, 1),
    groups: int = 1,
    n_iter: int = 4,
    oversampling: int | None = None,
) -> Tensor:
    """Bound the norm of a convolution from above, group by group, differentiably: the lesser of two bounds.

    Gram iteration (`gram_norm`) is within a few per cent of the norm of a generic kernel, but a factor c^(1 / 4p) above
    that of an isometry with c channels, p = 2^n_iter. The row sums of AOL, ||K||^2 <= max_i sum over j and lags of
    |A|_ij, are exact for isometries and far off otherwise. Neither has state, and both hold for every image size, zero
    and circular padding. In float32 (float64) the result may be too small by some 1e-6 (1e-15).

    Args:
        kernel: (out, in/groups, kh, kw), floating point of any scale.
        stride: (s_h, s_w).
        dilation: (d_h, d_w).
        groups: Number of groups.
        n_iter: Squarings in the Gram iteration, >= 0.
        oversampling: Grid points per degree in the Gram iteration, see there.

    Returns:
        (groups,) upper bounds; 0 for a zero kernel. The gradient is finite everywhere.

    Cost: that of `gram_norm`, and k^4 / 2 products (c, rest) x (rest, c).
    Paper: Delattre et al. 2023, arXiv:2305.16173; Prach and Lampert 2022, arXiv:2208.03160.
    """
    iterated = gram_norm(
        kernel, stride=stride, dilation=dilation, groups=groups, n_iter=n_iter, oversampling=oversampling
    )
    peak = kernel.detach().unflatten(0, (groups, -1)).abs().amax((1, 2, 3, 4))
    peak = torch.where(peak > 0, peak, 1)
    squared = gram_sums(divide_groups(kernel, peak), stride, dilation, groups).sum(-1).amax(-1)
    # The root has no finite slope at 0.
    sums = torch.where(squared > 0, torch.where(squared > 0, squared, 1).sqrt() * peak, 0)
    return torch.minimum(iterated, sums)


def divide_groups(kernel: Tensor, divisors: Tensor) -> Tensor:
    """Divide the kernel of each group by a number.

    Args:
        kernel: (out, in/groups, kh, kw).
        divisors: (groups,); where it is 0, nothing is divided.

    Returns:
        Kernel of the same shape.
    """
    safe = torch.where(divisors > 0, divisors, 1)
    return kernel / safe.repeat_interleave(kernel.shape[0] // divisors.shape[0])[:, None, None, None]


def limit_norm(
    kernel: Tensor,
    limit: float = 1.0,
    *,
    stride: Pair = (1, 1),
    dilation: Pair = (1, 1),
    groups: int = 1,
    n_iter: int = 4,
) -> Tensor:
    """Shrink the kernel of each group to a norm of at most `limit`; a kernel whose bound is below that is kept.

    Args:
        kernel: (out, in/groups, kh, kw), floating point of any scale.
        limit: Largest norm allowed, > 0.
        stride: (s_h, s_w).
        dilation: (d_h, d_w).
        groups: Number of groups.
        n_iter: Squarings in the Gram iteration of `operator_norm`.

    Returns:
        K / max(1, operator_norm(K) / limit), same shape.
    """
    norm = operator_norm(kernel, stride=stride, dilation=dilation, groups=groups, n_iter=n_iter)
    return divide_groups(kernel, (norm / limit).clamp_min(1))
