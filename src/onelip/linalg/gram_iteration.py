"""Upper bound of the norm of a convolution by Gram iteration: deterministic, stateless, differentiable."""

from __future__ import annotations

import math
from collections.abc import Callable

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
        (groups,) upper bounds; 0 for a zero kernel. Derivatives of all orders are exact almost everywhere, the
        gradient is finite everywhere.

    Cost: about (k^4 + 4 n_iter F) c^3 operations, F = n_h n_w / 2 frequencies, c the smaller channel count per group,
    with s_h s_w input channels for each where there is a stride; the backward pass visits one frequency.
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
    # A power of the largest entry could under- or overflow, hence the scaling.
    largest = grouped.detach().abs().amax((1, 2, 3, 4))
    zero = largest == 0
    scale = torch.where(zero, 1, largest)
    # Zero groups make way for ones, which have slopes of all orders.
    scaled = torch.where(zero[:, None, None, None, None], 1, grouped / scale[:, None, None, None, None])
    log_norm = _largest_log_norm(scaled, n_iter, counts)
    return torch.where(zero, 0, (log_norm / 2).exp() * (scale / (steps[0] * steps[1])))


def _largest_log_norm(kernel: Tensor, n_iter: int, counts: tuple[int, int]) -> Tensor:
    # kernel: (groups, out, in, kh, kw). The largest over the grid, (groups,), differentiated at its frequency alone.
    points = _half_grid(counts)
    with torch.no_grad():
        worst = _log_norms(kernel.detach(), points, n_iter).argmax(1)
    taps = [(a, b) for a in range(kernel.shape[3]) for b in range(kernel.shape[4])]
    cosines, sines = (table[worst][:, None, None] for table in _tables(points, taps, kernel))
    flat = kernel.flatten(3)
    if flat.shape[1] > flat.shape[2]:
        flat = flat.transpose(1, 2)
    real, imaginary = (flat * cosines).sum(-1), (flat * sines).sum(-1)
    cross = imaginary @ real.mT
    return _iterate(real @ real.mT + imaginary @ imaginary.mT, cross - cross.mT, n_iter, _smooth_frobenius)


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
            _iterate((some_cos @ even).unflatten(-1, shape), (some_sin @ odd).unflatten(-1, shape), n_iter, _frobenius)
            for some_cos, some_sin in zip(cosines.split(chunk), sines.split(chunk), strict=True)
        ],
        1,
    )


def _frobenius(real: Tensor, imaginary: Tensor) -> Tensor:
    return torch.hypot(*(torch.linalg.vector_norm(part, dim=(-2, -1)) for part in (real, imaginary)))


def _smooth_frobenius(real: Tensor, imaginary: Tensor) -> Tensor:
    # Slower, but the norm of an imaginary part of zeros, as at frequency 0, would have no second derivative.
    return (real.square().sum((-2, -1)) + imaginary.square().sum((-2, -1))).sqrt()


def _iterate(real: Tensor, imaginary: Tensor, n_iter: int, norm_of: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    # Log ||G^p||_F^(1/p) of G = R + i S for p = 2^n_iter.
    tiny = torch.finfo(real.dtype).tiny
    log_norm = torch.zeros_like(real[..., 0, 0])
    for step in range(n_iter + 1):
        if step:
            real, imaginary = hermitian_square(real, imaginary)
        norm = norm_of(real, imaginary).clamp_min(tiny)
        log_norm = log_norm + norm.log() / 2**step
        if step < n_iter:
            real, imaginary = real / norm[..., None, None], imaginary / norm[..., None, None]
    return log_norm


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
