"""Row sums of powers of the Gram kernel: the scales of spectral rescaling, AOL's being the first."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from onelip.linalg.convolution import autocorrelation
from onelip.linalg.gram_iteration import hermitian_square

Pair = tuple[int, int]

_NEGLIGIBLE = 1e-30
"""Row sums below this, the largest entry being about 1, are raised to it: slopes stay finite in float32."""

_BALANCING_STEPS = 200

_BALANCED = 1e-9
"""Relative change of the ratios at which `balancing_factors` stops."""


def gram_power_scales(
    kernel: Tensor,
    *,
    side: Literal["in", "out"],
    n_iter: int,
    stride: Pair = (1, 1),
    dilation: Pair = (1, 1),
    groups: int = 1,
) -> Tensor:
    """Find t > 0 with which the convolution K diag(t)^-1 (side "in") or diag(t)^-1 K (side "out") is 1-Lipschitz.

        t_i = (sum over j and lags l of |(A^p)_ij[l]|)^(1 / 2p),   A the kernel of K^T K or K K^T, p = 2^(n_iter - 1)

    A^p <= diag(sum |A^p|) by diagonal dominance, and the p-th root keeps that order (Loewner and Heinz), so
    A <= diag(t)^2: under zero and circular padding, for every image size, stride and grouping. Larger p come nearer to
    the norm; p = 1 is AOL. The powers are taken at as many frequencies as A^p has lags, which is exact.

    Args:
        kernel: (out, in/groups, kh, kw), floating point, its largest entry not far from 1.
        side: Which channels to scale.
        n_iter: At least 1.
        stride: (s_h, s_w).
        dilation: (d_h, d_w).
        groups: Number of groups.

    Returns:
        (groups, c), with c = out/groups, or s_h s_w in/groups, one for each channel and pixel of the stride's window.

    Cost: k^4 c^3 for A, and 2 (n_iter - 1) products (c, c) x (c, c) at (2 p (k - 1) + 1)^2 / 2 or a few more
    frequencies: 45, 180 and 684 for n_iter 2, 3 and 4 at k = 3.
    Paper: Delattre et al. 2024, arXiv:2402.00240.
    """
    taps = autocorrelation(kernel, stride=stride, dilation=dilation, groups=groups, side=side)
    taps = taps.unflatten(0, (groups, -1))
    power = 2 ** (n_iter - 1)
    taps, log_norm = _power(taps, power) if power > 1 else (taps, torch.zeros_like(taps[:, 0, 0, 0, 0].detach()))
    sums = taps.abs().sum((-2, -1)).sum(-1).clamp_min(_NEGLIGIBLE)
    return sums ** (0.5 / power) * (log_norm / 2).exp()[:, None]


def _power(taps: Tensor, power: int) -> tuple[Tensor, Tensor]:
    # The kernel of A^p over exp(p log_norm), and log_norm for each group. A^p has p times the reach of A.
    reach = [n // 2 for n in taps.shape[-2:]]
    size = [_smooth(2 * power * r + 1) for r in reach]
    padded = F.pad(taps, (0, size[1] - taps.shape[-1], 0, size[0] - taps.shape[-2]))
    middle_first = padded.roll((-reach[0], -reach[1]), (-2, -1)).movedim((-2, -1), (0, 1)).contiguous()
    spectrum = torch.fft.rfft2(middle_first, dim=(0, 1))
    real, imaginary = spectrum.real, spectrum.imag
    log_norm = torch.zeros_like(taps[:, 0, 0, 0, 0].detach())
    step = 1
    while step < power:
        norm = torch.hypot(real.detach(), imaginary.detach()).amax((0, 1, 3, 4))
        norm = torch.where(norm > 0, norm, 1)
        log_norm = log_norm + norm.log() / step
        real, imaginary = (part / norm[:, None, None] for part in (real, imaginary))
        # One tap has a real spectrum.
        real, imaginary = hermitian_square(real, imaginary) if any(reach) else (real @ real, imaginary)
        step *= 2
    kernel = torch.fft.irfft2(torch.complex(real, imaginary), s=size, dim=(0, 1))
    return kernel.movedim((0, 1), (-2, -1)), log_norm


def _smooth(n: int) -> int:
    # The next 2^a 3^b. Transforms of such sizes are exact for isometries, whose spectrum is constant, and quick.
    sizes = [2**a * 3**b for a in range(n.bit_length() + 1) for b in range(n.bit_length() + 1)]
    return min(size for size in sizes if size >= n)


def balancing_factors(scales: Callable[[Tensor], Tensor], start: Tensor) -> Tensor:
    """Find x > 0 with scales(x) = r x, the scales being those of the kernel whose channels are multiplied by x.

    The kernel so multiplied and divided by its scales is the kernel itself over r, with its own r for channels that do
    not interact. For AOL x is the Perron vector of the row sums; this is the power method for it, damped by a root, and
    the same iteration for higher powers.

    Args:
        scales: Maps factors (groups, c) to scales of the same shape.
        start: Ones of that shape.

    Returns:
        The factors; those below 1e-6 of the largest are raised to that.
    """
    x, ratio = start, torch.zeros_like(start)
    for _ in range(_BALANCING_STEPS):
        t = scales(x)
        previous, ratio = ratio, t / x
        x = (t / t.amax(-1, keepdim=True)).clamp_min(1e-6)
        if bool(((ratio - previous).abs() <= _BALANCED * ratio).all()):
            break
    return x
