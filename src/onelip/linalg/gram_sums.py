"""Row sums of Gram kernels, from which AOL and its kin take their scales."""

from __future__ import annotations

from math import gcd, prod

import torch
from torch import Tensor

from onelip.linalg.convolution import polyphase

Pair = tuple[int, int]

_SQUARINGS = 40
"""Squarings of the matrix in `perron_vector`: 2^40 steps of power iteration."""

_PERRON_TOLERANCE = 1e-9
"""Relative spread of (M x) / x at which `perron_vector` stops."""


def gram_sums(kernel: Tensor, stride: Pair = (1, 1), dilation: Pair = (1, 1), groups: int = 1) -> Tensor:
    """Sum the absolute values of the Gram kernel over space, on the side of fewer channels.

    M_ij = sum over lags l of |A_ij[l]|, A the kernel of K^T K or of K K^T. If M x <= x for some x > 0, the convolution
    is 1-Lipschitz in l2 under zero and circular padding, for every image (weighted row sums).

    Args:
        kernel: (out, in/groups, kh, kw).
        stride: (s_h, s_w).
        dilation: (d_h, d_w).
        groups: Number of groups.

    Returns:
        (groups, c, c), symmetric: c = out/groups if that is less than s_h s_w in/groups, else the latter, one channel
        for each pixel of the stride's window in the order of `F.pixel_unshuffle`.

    Cost: k_h^2 k_w^2 / 2 products (c, rest) x (rest, c), a third of what convolving the kernel with itself takes.
    """
    if outputs_are_fewer(kernel, stride, groups):
        # A lag l of taps is seen between two outputs if it is a multiple of the stride.
        step = (stride[0] // gcd(stride[0], dilation[0]), stride[1] // gcd(stride[1], dilation[1]))
        return _gram_sums(kernel.unflatten(0, (groups, -1)), step)
    if stride != (1, 1):
        kernel = polyphase(kernel, stride, dilation)
    return _gram_sums(kernel.unflatten(0, (groups, -1)).transpose(1, 2), (1, 1))


def _gram_sums(grouped: Tensor, step: Pair) -> Tensor:
    # grouped: (groups, c, rest, kh, kw). A[-l] = A[l]^T, so lags l >= 0 are enough.
    groups, c, rest, kh, kw = grouped.shape
    first, second, lags = _tap_pairs(kh, kw, step)
    taps = grouped.permute(3, 4, 0, 1, 2).reshape(kh * kw, groups * c, rest)
    index = torch.tensor((first, second), device=taps.device)
    ahead, behind = (taps.index_select(0, i).view(-1, c, rest) for i in index)
    products = torch.bmm(ahead, behind.mT).view(len(first), -1)
    numbers = torch.arange(lags[-1] + 1, device=taps.device)
    same_lag = (torch.tensor(lags, device=taps.device) == numbers[:, None]).to(taps.dtype)
    sizes = (same_lag @ products).abs().view(-1, groups, c, c)
    total = sizes.sum(0)
    return total + total.mT - sizes[0]


def _tap_pairs(kh: int, kw: int, step: Pair) -> tuple[list[int], list[int], list[int]]:
    # Pairs of taps whose lag is a multiple of the step and not negative, and the number of that lag; lag 0 is number 0.
    first, second, lags = [], [], []
    for number, (lag_h, lag_w) in enumerate(_lags(kh, kw, step)):
        for h in range(kh - lag_h):
            for w in range(max(0, -lag_w), kw - max(0, lag_w)):
                first.append(h * kw + w)
                second.append((h + lag_h) * kw + w + lag_w)
                lags.append(number)
    return first, second, lags


def _lags(kh: int, kw: int, step: Pair) -> list[Pair]:
    reach = (kw - 1) // step[1] * step[1]
    half = [(0, w) for w in range(0, reach + 1, step[1])]
    return half + [(h, w) for h in range(step[0], kh, step[0]) for w in range(-reach, reach + 1, step[1])]


def outputs_are_fewer(kernel: Tensor, stride: Pair, groups: int) -> bool:
    """Say which side of a convolution `gram_sums` takes.

    Args:
        kernel: (out, in/groups, kh, kw).
        stride: (s_h, s_w).
        groups: Number of groups.

    Returns:
        True for the output side: it has fewer channels than the stride's window of the input.
    """
    return kernel.shape[0] // groups < kernel.shape[1] * prod(stride)


def scale_channels(kernel: Tensor, factors: Tensor, stride: Pair = (1, 1), dilation: Pair = (1, 1)) -> Tensor:
    """Multiply the channels of the side that `gram_sums` belongs to.

    Args:
        kernel: (out, in/groups, kh, kw).
        factors: (groups, c), one for each channel, or channel and pixel of the stride's window.
        stride: (s_h, s_w).
        dilation: (d_h, d_w).

    Returns:
        Kernel of the same shape.
    """
    groups = factors.shape[0]
    grouped = kernel.unflatten(0, (groups, -1))
    if outputs_are_fewer(kernel, stride, groups):
        return (grouped * factors[:, :, None, None, None]).flatten(0, 1)
    phases = factors.reshape(groups, 1, -1, *stride)
    # Tap t of an axis lies on pixels d t modulo the stride.
    for axis, (taps, step, spread) in enumerate(zip(kernel.shape[-2:], stride, dilation, strict=True)):
        phase = torch.arange(taps, device=kernel.device) * spread % step
        phases = phases.index_select(3 + axis, phase)
    return (grouped * phases).flatten(0, 1)


def perron_vector(m: Tensor) -> Tensor:
    """Find x > 0 with M x = r x by power iteration, with its own r for each connected component of M.

    Args:
        m: (batch, c, c), symmetric, entries >= 0, float64.

    Returns:
        (batch, c); entries below 1e-6 of the component's largest are raised to that, those of zero rows are 1.
    """
    connected = (m > 0).to(m.dtype) + torch.eye(m.shape[-1], dtype=m.dtype)
    for _ in range(m.shape[-1].bit_length()):
        connected = ((connected @ connected) > 0).to(m.dtype)

    def component_max(x: Tensor) -> Tensor:
        return (connected * x[:, None, :]).amax(-1)

    x = torch.ones_like(m[:, 0])
    power = m
    for _ in range(_SQUARINGS):
        ratio = (m @ x[..., None])[..., 0] / x
        largest = component_max(ratio)
        if bool((largest - ratio <= _PERRON_TOLERANCE * largest).all()):
            break
        x = (power @ x[..., None])[..., 0]
        top = component_max(x)
        # Never zero, or the raw weight would lose the channel.
        x = torch.where(top > 0, x / torch.where(top > 0, top, 1.0), 1.0).clamp(min=1e-6)
        power = power @ power
        top = component_max(power.amax(-1))
        power = power / torch.where(top > 0, top, 1.0)[..., None]
    return x
