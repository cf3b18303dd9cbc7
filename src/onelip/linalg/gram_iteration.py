"""Upper bound of the norm of a convolution by Gram iteration: deterministic, stateless, differentiable."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from onelip.linalg.convolution import autocorrelation, polyphase

_CHUNK = 2**18
"""Entries of frequency matrices held at once, so that they stay in the processor's cache."""


def gram_norm(
    kernel: Tensor,
    *,
    stride: tuple[int, int] = (1, 1),
    dilation: tuple[int, int] = (1, 1),
    groups: int = 1,
    n_iter: int = 3,
    oversampling: int | None = None,
    size: tuple[int, int] | None = None,
) -> Tensor:
    """Bound the norm of a convolution from above, group by group, in a form that can be trained through.

    With K(w) = sum over taps a of K_a exp(-i a w), G = K K^H (or K^H K, whichever is smaller) and p = 2^n_iter,

        ||K||^2 <= max over grid points w of ||G(w)^p||_F^(1/p) * product over axes of 1 / cos^2(pi (k - 1) / (2 n)),

    n = oversampling (k - 1) grid points along an axis. The first factor exceeds the largest eigenvalue on the grid by
    at most c^(1/2p). The second carries the bound from the grid to all frequencies: for a unit vector u the polynomial
    T(w) = u^H G(w) u >= 0 has degree k - 1, T - max T / 2 has size max T / 2, and so by M. Riesz' theorem
    T >= max T cos^2((k - 1) d / 2) at distance d from its maximum. Hence the bound holds for every image size, zero
    and circular padding, and every dilation. A strided convolution is one of stride 1 on the space-to-depth image
    (`polyphase`).

    It is an upper bound in exact arithmetic; computed in float32 (float64) it may be too small by some 1e-6 (1e-15).
    `conv_norm_bound` is the proved one, with no gradient.

    A power iteration, in its place, gives a lower bound, and needs state: its vector is stale after the optimiser
    step that follows it, is tied to one image size, and can stick in a subspace for good (measured on published code:
    norms of 2.2 at an image size other than the one trained on, of 11 after 1000 iterations stuck on a constant
    vector).

    Args:
        kernel: (out, in/groups, kh, kw), floating point.
        stride: (s_h, s_w).
        dilation: (d_h, d_w); without effect if the stride is 1.
        groups: Number of groups.
        n_iter: Squarings of the Gram matrix, >= 0.
        oversampling: Grid points per degree, >= 2: 4 costs at most 8 % of norm per axis, 8 costs 2 %. None takes 8 up
            to 16 channels, 6 up to 32 and 4 beyond.
        size: Frequencies along each axis of a torus on which alone the bound is to hold, the pixels of a circular
            convolution divided by its stride; then there is nothing between grid points, no second factor, and no
            oversampling.

    Returns:
        (groups,) upper bounds; 0 for a zero kernel. The gradient is exact almost everywhere and finite everywhere.
        Second derivatives with respect to the kernel are taken as zero.

    Cost: about (k^4 + 4 n_iter F) c^3 operations, F = n_h n_w / 2 frequencies, c the smaller channel count per group,
    with s_h s_w input channels for each where there is a stride; the backward pass costs as much as one elementwise
    product.
    Paper: Delattre, Barthelemy, Araujo and Allauzen 2023, arXiv:2305.16173, for the iteration.
    """
    if stride != (1, 1):
        kernel = polyphase(kernel, stride, dilation)
    grouped = kernel.unflatten(0, (groups, -1))
    if oversampling is None:
        channels = min(grouped.shape[1:3])
        oversampling = 8 if channels <= 16 else 6 if channels <= 32 else 4
    degrees = (kernel.shape[2] - 1, kernel.shape[3] - 1)
    counts = size or (max(1, oversampling * degrees[0]), max(1, oversampling * degrees[1]))
    steps = [1.0 if size else math.cos(math.pi * d / (2 * n)) for d, n in zip(degrees, counts, strict=True)]
    with torch.no_grad():
        value, slope = _norm_and_slope(grouped.detach(), n_iter, counts, steps[0] * steps[1])
    # The norm is homogeneous of degree 1: its value is the inner product of the kernel with its gradient.
    inner = (grouped * slope).sum((1, 2, 3, 4))
    return value + (inner - inner.detach())


def _norm_and_slope(grouped: Tensor, n_iter: int, counts: tuple[int, int], between: float) -> tuple[Tensor, Tensor]:
    # grouped: (groups, out, in, kh, kw). A power of the largest entry could under- or overflow, hence the scaling.
    largest = grouped.abs().amax((1, 2, 3, 4))
    scale = torch.where(largest > 0, largest, 1)
    kernel = grouped / scale[:, None, None, None, None]
    points = _half_grid(counts)
    log_norms = _log_norms(kernel, points, n_iter)
    worst = log_norms.argmax(1)
    log_norm = log_norms.gather(1, worst[:, None])[:, 0]
    value = (log_norm / 2).exp() / between
    taps = [(a, b) for a in range(kernel.shape[3]) for b in range(kernel.shape[4])]
    cosines, sines = (table[worst] for table in _tables(points, taps, kernel))
    direction = _uphill(kernel.flatten(3), cosines, sines, n_iter).reshape(kernel.shape)
    inner = (direction * kernel).sum((1, 2, 3, 4))
    nonzero = inner > 0
    value = torch.where(nonzero, value, 0)
    ratio = torch.where(nonzero, value / torch.where(nonzero, inner, 1), 0)
    return value * scale, direction * ratio[:, None, None, None, None]


def _half_grid(counts: tuple[int, int]) -> list[tuple[float, float]]:
    # Frequencies in turns, one of each pair w, -w, since K(-w) is the conjugate of K(w).
    n_h, n_w = counts
    columns = range(n_w // 2 + 1)
    # The first and the middle column are their own mirror images.
    return [(i / n_h, j / n_w) for i in range(n_h) for j in columns if 2 * i <= n_h or 2 * j not in (0, n_w)]


def _tables(points: list[tuple[float, float]], lags: list[tuple[int, int]], like: Tensor) -> tuple[Tensor, Tensor]:
    # Cosines and sines of (frequency . lag), (F, lags).
    turns = [[a * u + b * v for a, b in lags] for u, v in points]
    angles = 2 * math.pi * torch.tensor(turns, dtype=torch.float64, device="cpu")
    return angles.cos().to(like), angles.sin().to(like)


def _log_norms(kernel: Tensor, points: list[tuple[float, float]], n_iter: int) -> Tensor:
    # (groups, F): the logarithm of ||G(w)^p||_F^(1/p) at every grid point.
    groups, out, inner, kh, kw = kernel.shape
    side = "out" if out <= inner else "in"
    lags = autocorrelation(kernel.flatten(0, 1), groups=groups, side=side).unflatten(0, (groups, -1)).flatten(-2)
    ahead = lags[..., lags.shape[-1] // 2 :].movedim(-1, 1)
    # G(w) = R + i S with R = sum over lags l >= 0 of (A_l + A_l^T) cos(l w), halved at l = 0, S likewise with -, sin.
    even, odd = (ahead + ahead.mT).flatten(2), (ahead - ahead.mT).flatten(2)
    even = torch.cat([even[:, :1] / 2, even[:, 1:]], 1)
    reach = [(a, b) for a in range(1 - kh, kh) for b in range(1 - kw, kw)]
    cosines, sines = _tables(points, reach[len(reach) // 2 :], kernel)
    shape = ahead.shape[-2:]
    chunk = max(1, _CHUNK // shape.numel())
    return torch.cat(
        [
            _iterate((some_cos @ even).unflatten(-1, shape), (some_sin @ odd).unflatten(-1, shape), n_iter)[0]
            for some_cos, some_sin in zip(cosines.split(chunk), sines.split(chunk), strict=True)
        ],
        1,
    )


def _uphill(kernel: Tensor, cosines: Tensor, sines: Tensor, n_iter: int) -> Tensor:
    # kernel: (groups, out, in, taps), tables: (groups, taps) at the worst frequency of each group. Up to a factor
    # d ||G^p||_F^(1/2p) / dK is G^(2p-1) K, and 2p - 1 = 1 + 2 + 4 + ... + p.
    tall = kernel.shape[1] > kernel.shape[2]
    if tall:
        kernel = kernel.transpose(1, 2)
    tables = (cosines[:, None, None], sines[:, None, None])
    real, imaginary = ((kernel * table).sum(-1) for table in tables)
    cross = imaginary @ real.mT
    _, powers = _iterate(real @ real.mT + imaginary @ imaginary.mT, cross - cross.mT, n_iter, keep=True)
    for r, s in powers:
        real, imaginary = r @ real - s @ imaginary, r @ imaginary + s @ real
    direction = real[..., None] * tables[0] + imaginary[..., None] * tables[1]
    return direction.transpose(1, 2) if tall else direction


def _iterate(
    real: Tensor, imaginary: Tensor, n_iter: int, *, keep: bool = False
) -> tuple[Tensor, list[tuple[Tensor, Tensor]]]:
    # Log ||G^p||_F^(1/p) for p = 2^n_iter, and if wanted G, G^2, G^4, ..., G^p, each over its Frobenius norm.
    tiny = torch.finfo(real.dtype).tiny
    log_norm = torch.zeros_like(real[..., 0, 0])
    powers: list[tuple[Tensor, Tensor]] = []
    for step in range(n_iter + 1):
        if step:
            real, imaginary = hermitian_square(real, imaginary)
        norms = [torch.linalg.vector_norm(part, dim=(-2, -1)) for part in (real, imaginary)]
        norm = torch.hypot(norms[0], norms[1]).clamp_min(tiny)
        log_norm = log_norm + norm.log() / 2**step
        if step < n_iter or keep:
            real, imaginary = real / norm[..., None, None], imaginary / norm[..., None, None]
        if keep:
            powers.append((real, imaginary))
    return log_norm, powers


def hermitian_square(real: Tensor, imaginary: Tensor) -> tuple[Tensor, Tensor]:
    """Square Hermitian matrices R + i S with half the products: R = R^T, S = -S^T, so SR = -(RS)^T.

    Args:
        real: (..., c, c), symmetric.
        imaginary: (..., c, c), skew.

    Returns:
        Real and imaginary part of the square.
    """
    product, mixed = real @ imaginary, (real - imaginary) @ (real + imaginary)
    return mixed - product - product.mT, product - product.mT
