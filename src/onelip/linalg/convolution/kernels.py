"""Algebra of convolution kernels: what composing, transposing or squaring convolutions does to their kernels.

A kernel (out, in/groups, kh, kw) stands for the cross-correlation of `torch.nn.functional.conv2d`,
y[o, t] = sum over i, a of kernel[o, i, a] x[i, s t + d a], on an unbounded image, group by group.
"""

from __future__ import annotations

from math import gcd

import torch
import torch.nn.functional as F
from torch import Tensor

from onelip.linalg.precision import full_precision


def transpose(kernel: Tensor, groups: int = 1) -> Tensor:
    """Return the kernel of the adjoint of a stride-1 convolution.

    The two channel axes are swapped inside each group and space is flipped.

    Args:
        kernel: (out, in/groups, kh, kw).
        groups: Number of groups.

    Returns:
        (in, out/groups, kh, kw).

    Raises:
        ValueError: If `groups` does not divide the output channels.
    """
    grouped = _grouped(kernel, groups)
    return grouped.transpose(1, 2).flatten(0, 1).flip(-2, -1)


def compose(k2: Tensor, k1: Tensor, groups: int = 1) -> Tensor:
    """Return the kernel of the convolution with `k2` after the convolution with `k1`.

    K[o, i, c] = sum over m and a + b = c of k2[o, m, b] k1[m, i, a]. The convolution with `k1` has stride 1; that with
    `k2` may have any stride, which the composition inherits. Both have the same dilation.

    Args:
        k2: (out, mid/groups, lh, lw), applied second.
        k1: (mid, in/groups, kh, kw), applied first.
        groups: Number of groups, the same for both.

    Returns:
        (out, in/groups, kh + lh - 1, kw + lw - 1).

    Raises:
        ValueError: If the channels do not match.

    Cost: one convolution of `k1`, seen as in/groups images, with the flipped `k2`; no gradient is cut.
    """
    if k1.shape[0] != k2.shape[1] * groups:
        raise ValueError(
            f"k1 of shape {tuple(k1.shape)} has {k1.shape[0]} outputs, but k2 of shape {tuple(k2.shape)} with "
            f"groups={groups} takes {k2.shape[1] * groups} inputs"
        )
    _grouped(k2, groups)
    pad = (k2.shape[2] - 1, k2.shape[3] - 1)
    with full_precision():
        return F.conv2d(k1.transpose(0, 1), k2.flip(-2, -1), padding=pad, groups=groups).transpose(0, 1)


def polyphase(kernel: Tensor, stride: tuple[int, int], dilation: tuple[int, int] = (1, 1)) -> Tensor:
    """Return the stride-1 kernel that acts on the space-to-depth image as the strided one on the image.

    Input channel i of the kernel becomes s_h s_w channels, i s_h s_w + r_h s_w + r_w for the pixels with indices r
    modulo the stride, the order of `F.pixel_unshuffle`. Groups carry over.

    Args:
        kernel: (out, in/groups, kh, kw).
        stride: (s_h, s_w).
        dilation: (d_h, d_w) of `kernel`; the result has dilation 1.

    Returns:
        (out, s_h s_w in/groups, ceil(e_h / s_h), ceil(e_w / s_w)), e = d (k - 1) + 1.
    """
    kernel = dilate(kernel, dilation)
    (sh, sw), (kh, kw) = stride, kernel.shape[2:]
    kernel = F.pad(kernel, (0, -kw % sw, 0, -kh % sh))
    return F.pixel_unshuffle(kernel, sh) if sh == sw else _unshuffle(kernel, sh, sw)


def dilate(kernel: Tensor, dilation: tuple[int, int]) -> Tensor:
    """Return the kernel with the zeros written out that its dilation stands for.

    Args:
        kernel: (out, in/groups, kh, kw).
        dilation: (d_h, d_w).

    Returns:
        (out, in/groups, d_h (kh - 1) + 1, d_w (kw - 1) + 1).
    """
    (dh, dw), (out, inner, kh, kw) = dilation, kernel.shape
    if (dh, dw) == (1, 1):
        return kernel
    spread = F.pad(kernel.reshape(out, inner, kh, 1, kw, 1), (0, dw - 1, 0, 0, 0, dh - 1))
    return spread.reshape(out, inner, kh * dh, kw * dw)[:, :, : dh * (kh - 1) + 1, : dw * (kw - 1) + 1]


def autocorrelation(
    kernel: Tensor,
    *,
    stride: tuple[int, int] = (1, 1),
    dilation: tuple[int, int] = (1, 1),
    groups: int = 1,
    side: str = "in",
) -> Tensor:
    """Return the kernel of K^T K (side "in") or of K K^T (side "out") for a convolution K.

    side "out": A[o, o', l] = sum over i and a of K[o, i, a + m l] K[o', i, a], where m = s / gcd(s, d) are the only
    lags that a stride leaves; tap l reaches l d / gcd(s, d) output pixels.
    side "in": A[i, i', l] = sum over o and a of K[o, i, a] K[o, i', a + l], tap l reaches l d pixels. With a stride
    K^T K is not a convolution of the image but of its space-to-depth form, so the kernel is that of `polyphase`.

    The operator norm of K is at most 1 in l2 if A is the identity (1 at the middle tap of the diagonal).

    Args:
        kernel: (out, in/groups, kh, kw).
        stride: (s_h, s_w).
        dilation: (d_h, d_w).
        groups: Number of groups.
        side: "in" or "out".

    Returns:
        (c, c/groups, 2 L_h + 1, 2 L_w + 1) in kernel layout, with c = out, or in (times s_h s_w); symmetric:
        A[i, j, -l] = A[j, i, l].

    Raises:
        ValueError: If `side` is neither, or `groups` does not divide the output channels.

    Cost: about k_h^2 k_w^2 / 2 products (c, c) x (c, c) without gradient, where only half the lags are computed; one
    convolution of the kernel with itself with it.
    """
    if side == "out":
        step = tuple(s // gcd(s, d) for s, d in zip(stride, dilation, strict=True))
        return _autocorrelation(_grouped(kernel, groups), (step[0], step[1]))
    if side != "in":
        raise ValueError(f'side={side!r} is not a side of the convolution; it must be "in" or "out"')
    if stride != (1, 1):
        kernel = polyphase(kernel, stride, dilation)
    # K^T has kernel transpose(K), whose "out" side this is.
    return _autocorrelation(_grouped(transpose(kernel, groups), groups), (1, 1))


def _autocorrelation(grouped: Tensor, step: tuple[int, int]) -> Tensor:
    # grouped: (groups, c, inner, kh, kw). The products of half the lags are three times cheaper than the convolution,
    # but their backward pass is up to ten times dearer (measured at 16 to 64 channels).
    differentiable = torch.is_grad_enabled() and grouped.requires_grad
    with full_precision():
        taps = _by_convolution(grouped, step) if differentiable else _by_products(grouped, step)
    return taps.flatten(0, 1)


def _by_convolution(grouped: Tensor, step: tuple[int, int]) -> Tensor:
    # The images are the c slices of the kernel, the filters are the kernel itself.
    groups, c, _, kh, kw = grouped.shape
    pad = ((kh - 1) // step[0] * step[0], (kw - 1) // step[1] * step[1])
    images, filters = grouped.transpose(0, 1).flatten(1, 2), grouped.flatten(0, 1)
    taps = F.conv2d(images, filters, stride=step, padding=pad, groups=groups)
    return taps.unflatten(1, (groups, c)).transpose(0, 1)


def _by_products(grouped: Tensor, step: tuple[int, int]) -> Tensor:
    # Lags l >= 0 in lexicographic order, the others by symmetry.
    groups, c, _, kh, kw = grouped.shape
    # Channels last, so that the shifted copies move whole runs of memory.
    grouped = grouped.permute(0, 1, 3, 4, 2).contiguous()
    reach_h, reach_w = (kh - 1) // step[0], (kw - 1) // step[1]
    half = []
    for lag_h in range(reach_h + 1):
        for lag_w in range(0 if lag_h == 0 else -reach_w, reach_w + 1):
            half.append(_lag(grouped, lag_h * step[0], lag_w * step[1]))
    positive = torch.stack(half, dim=-1)
    negative = positive[..., 1:].transpose(1, 2).flip(-1)
    return torch.cat([negative, positive], dim=-1).reshape(groups, c, c, 2 * reach_h + 1, 2 * reach_w + 1)


def _lag(grouped: Tensor, lag_h: int, lag_w: int) -> Tensor:
    # grouped: (groups, c, kh, kw, inner).
    kh, kw = grouped.shape[2:4]
    right, left = max(lag_w, 0), max(-lag_w, 0)
    ahead = grouped[:, :, lag_h:, right : kw - left].flatten(2)
    behind = grouped[:, :, : kh - lag_h, left : kw - right].flatten(2)
    return ahead @ behind.mT


def _grouped(kernel: Tensor, groups: int) -> Tensor:
    if kernel.ndim != 4 or groups < 1 or kernel.shape[0] % groups:
        raise ValueError(
            f"kernel of shape {tuple(kernel.shape)} with groups={groups} is not a convolution; give "
            "(out, in/groups, kh, kw) and a divisor of out"
        )
    return kernel.unflatten(0, (groups, -1))


def _unshuffle(kernel: Tensor, sh: int, sw: int) -> Tensor:
    out, inner, kh, kw = kernel.shape
    blocks = kernel.reshape(out, inner, kh // sh, sh, kw // sw, sw).permute(0, 1, 3, 5, 2, 4)
    return blocks.reshape(out, inner * sh * sw, kh // sh, kw // sw)
