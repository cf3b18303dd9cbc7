"""One step of alternating projections: singular values clipped at every frequency, the kernel cropped to its taps."""

from __future__ import annotations

import torch
from torch import Tensor

from onelip.linalg.convolution import polyphase

Pair = tuple[int, int]


def clip_frequencies(
    kernel: Tensor,
    size: Pair,
    limit: float = 1.0,
    *,
    stride: Pair = (1, 1),
    dilation: Pair = (1, 1),
    groups: int = 1,
) -> tuple[Tensor, float]:
    """Clip the singular values of a convolution on a torus and set to zero what that puts outside the kernel's taps.

    A strided convolution is taken as one of stride 1 on the space-to-depth image. Both sets, kernels of norm at most
    `limit` and kernels of this size, are convex, and this is a projection onto the first and then onto the second.

    Args:
        kernel: (out, in/groups, kh, kw), floating point.
        size: Frequencies along each axis, the pixels of the image divided by the stride; at least the pixels that the
            kernel reaches over, divided by it.
        limit: Largest singular value.
        stride: (s_h, s_w).
        dilation: (d_h, d_w).
        groups: Number of groups.

    Returns:
        A kernel of the same shape, and the largest singular value of the kernel given; the kernel itself if that is
        at most `limit`.

    Cost: an FFT and SVDs of (out/groups, in/groups s_h s_w) matrices at half the frequencies.
    Paper: Sedghi, Gupta and Long 2019, arXiv:1805.10408; Senderovich et al. 2022, arXiv:2211.13771, for the strides.
    """
    phases = polyphase(kernel, stride, dilation)
    taps = phases.shape[-2:]
    spectrum = torch.fft.rfft2(phases, s=size).permute(2, 3, 0, 1).unflatten(2, (groups, -1))
    u, s, vh = torch.linalg.svd(spectrum, full_matrices=False)
    top = float(s.max())
    if top <= limit:
        return kernel, top
    clipped = ((u * s.clamp_max(limit)[..., None, :]) @ vh).flatten(2, 3).permute(2, 3, 0, 1)
    cropped = torch.fft.irfft2(clipped, s=size)[..., : taps[0], : taps[1]]
    return _taps(cropped, kernel, stride, dilation), top


def _taps(phases: Tensor, like: Tensor, stride: Pair, dilation: Pair) -> Tensor:
    # The inverse of `polyphase`; what lies between the taps of a dilated kernel is dropped.
    (sh, sw), (dh, dw), (out, inner, kh, kw) = stride, dilation, like.shape
    blocks = phases.unflatten(1, (inner, sh, sw)).permute(0, 1, 4, 2, 5, 3)
    spread = blocks.reshape(out, inner, phases.shape[2] * sh, phases.shape[3] * sw)
    return spread[:, :, : dh * (kh - 1) + 1 : dh, : dw * (kw - 1) + 1 : dw].contiguous()
