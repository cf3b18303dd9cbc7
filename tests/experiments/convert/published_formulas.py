"""Layers of other code bases, transcribed from their formulas in a few lines of float64, slow on purpose."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def circular(x: Tensor, kernel: Tensor, bias: Tensor | None = None) -> Tensor:
    """Convolve with circular padding that keeps the size."""
    p = kernel.shape[-1] // 2
    return F.conv2d(F.pad(x, (p, p, p, p), mode="circular"), kernel, bias)


def polar(matrix: Tensor) -> Tensor:
    """U V^H of the singular value decomposition."""
    u, _, v = torch.linalg.svd(matrix, full_matrices=False)
    return u @ v


def aol(kernel: Tensor) -> Tensor:
    """K_a / sqrt(sum over b and lags of |K_a * K_b| + 1e-6)."""
    k = kernel.shape[-1]
    products = F.conv2d(kernel.transpose(0, 1), kernel.transpose(0, 1), padding=k - 1)
    return kernel / (products.abs().sum((1, 2, 3)) + 1e-6).sqrt()[None, :, None, None]


def bcop(matrices: Tensor) -> Tensor:
    """H times 2x2 kernels [[PQ, P(I-Q)], [(I-P)Q, (I-P)(I-Q)]], as (out, in, width, height)."""
    orthogonal = torch.stack([polar(m) for m in matrices])
    c = matrices.shape[-1]
    if len(matrices) == 1:
        return orthogonal[0][:, :, None, None]
    eye = torch.eye(c, dtype=matrices.dtype)
    half = orthogonal[1:, :, : c // 2]
    projectors = half @ half.mT
    taps = {(0, 0): orthogonal[0]}
    for p, q in zip(projectors[::2], projectors[1::2], strict=True):
        longer: dict[tuple[int, int], Tensor] = {}
        for (i, j), tap in taps.items():
            for a, left in enumerate((p, eye - p)):
                for b, right in enumerate((q, eye - q)):
                    key = (i + a, j + b)
                    longer[key] = longer.get(key, 0) + tap @ left @ right
        taps = longer
    side = max(i for i, _ in taps) + 1
    # Indices (in, out) and (i, j) of the formula stand as (out, in) and (j, i) in a kernel.
    return torch.stack([torch.stack([taps[i, j].T for i in range(side)], -1) for j in range(side)], -2)


def cayley_transform(w: Tensor) -> Tensor:
    """(I - A)(I + A)^-1 of A = U - U^H + V^H V, below it -2 V (I + A)^-1; wide matrices transposed."""
    if w.shape[-2] < w.shape[-1]:
        return cayley_transform(w.mH).mH
    n = w.shape[-1]
    u, v = w[..., :n, :], w[..., n:, :]
    eye = torch.eye(n, dtype=w.dtype)
    a = u - u.mH + v.mH @ v
    inverse = torch.linalg.pinv(eye + a)
    return torch.cat([inverse @ (eye - a), -2 * v @ inverse], -2)


def spectrum(kernel: Tensor, n: int) -> Tensor:
    """(n, n, out, in): what a centred cross-correlation multiplies Fourier coefficients by."""
    k = kernel.shape[-1]
    frequency = torch.arange(n, dtype=torch.float64)
    shifts = torch.arange(k, dtype=torch.float64) - (k - 1) // 2
    phase = torch.exp(2j * torch.pi * frequency[:, None] * shifts / n)
    return torch.einsum("oihw,ah,bw->aboi", kernel.to(phase.dtype), phase, phase)


def apply_spectrum(matrices: Tensor, x: Tensor) -> Tensor:
    """Multiply Fourier coefficients of images."""
    return torch.fft.ifft2(torch.einsum("aboi,niab->noab", matrices, torch.fft.fft2(x))).real


def half_norm(kernel: Tensor, n: int) -> Tensor:
    """Norm of the half of the spectrum that a real transform keeps."""
    return spectrum(kernel, n)[:, : n // 2 + 1].abs().square().sum().sqrt()


def residual(x: Tensor, kernel: Tensor, bias: Tensor, steps: Tensor) -> Tensor:
    """x - K^T diag(steps) relu(K x + b), padded with zeros."""
    p = kernel.shape[-1] // 2
    inner = F.conv2d(x, kernel, bias, padding=p).relu() * steps[:, None, None]
    return x - F.conv_transpose2d(inner, kernel, padding=p)


def dense(kernel: Tensor, n: int) -> Tensor:
    """Matrix of a convolution that is padded with zeros, on n x n images."""
    c = kernel.shape[1]
    basis = torch.eye(c * n * n, dtype=kernel.dtype).reshape(-1, c, n, n)
    return F.conv2d(basis, kernel, padding=kernel.shape[-1] // 2).flatten(1).T


def skew(kernel: Tensor) -> Tensor:
    """Half of a kernel minus its adjoint."""
    return (kernel - kernel.transpose(0, 1).flip(2, 3)) / 2
