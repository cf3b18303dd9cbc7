"""Bounds and estimates of the norm of a 2-D convolution from the literature, for comparison, in plain float64.

None of these is a proof on a computer: those that are upper bounds in real arithmetic are computed in floating point
without a bound of the rounding error.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Case:
    """A kernel (out, in, k, k), odd k, at stride 1 on images (n, n), padded to the same size."""

    name: str
    kernel: Tensor
    size: int
    mode: str

    def pad(self, x: Tensor) -> Tensor:
        """Pad images by half the kernel."""
        side = self.kernel.shape[-1] // 2
        return F.pad(x, (side,) * 4, mode="constant" if self.mode == "zeros" else "circular")


def power_iteration(case: Case, steps: int) -> float:
    """Iterate x -> K^T K x: a LOWER estimate (as used by Ryu et al. 2019 and many after)."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(1, case.kernel.shape[1], case.size, case.size, generator=generator, dtype=torch.float64)
    norm = 0.0
    for _ in range(steps):
        x = (x / x.norm()).requires_grad_(True)
        y = F.conv2d(case.pad(x), case.kernel)
        norm = float(y.detach().norm())
        (x,) = torch.autograd.grad(y, x, y.detach())
    return norm


def _symbols(kernel: Tensor, size: int) -> Tensor:
    # The matrices at half of the frequencies of images of one size, or of a kernel that wraps around a smaller one.
    k = kernel.shape[-1]
    padded = torch.zeros(*kernel.shape[:2], max(size, k), max(size, k), dtype=torch.float64)
    padded[..., :k, :k] = kernel
    if size < k:
        raise ValueError(f"size={size} is smaller than the kernel")
    return torch.fft.rfft2(padded).permute(2, 3, 0, 1).flatten(0, 1)


def fft_svd(case: Case) -> float:
    """Largest singular value over the frequencies of the image: exact for circular padding (Sedghi et al. 2019)."""
    return float(torch.linalg.svdvals(_symbols(case.kernel, case.size))[:, 0].max())


def gram_iteration(case: Case, steps: int = 5) -> float:
    """||W||^(2^t) <= ||W_t||_F, W_(t+1) = W_t^H W_t, at every frequency (Delattre et al. 2023, arXiv:2305.16173)."""
    w = _symbols(case.kernel, case.size)
    log_scale = torch.zeros(len(w), dtype=torch.float64)
    for _ in range(steps):
        norm = torch.linalg.matrix_norm(w)
        w = w / norm[:, None, None]
        log_scale = 2 * (log_scale + norm.log())
        w = w.mH @ w
    return float(((torch.linalg.matrix_norm(w).log() + log_scale) / 2**steps).exp().max())


def spatial_gram(case: Case, steps: int = 3) -> float:
    """Row sums of the taps of the t-th Gram kernel, for every image size and zero padding (Delattre et al. 2024).

    ||K||^(2^t) = ||K_t|| <= max over channels of the sum of |taps|, K_(t+1) = K_t^T * K_t (arXiv:2402.00240); the
    products are made at as many frequencies as K_t has taps.
    """
    k = case.kernel.shape[-1]
    taps = 2**steps * (k - 1) + 1
    w = _symbols(case.kernel, taps)
    log_scale = 0.0
    for _ in range(steps):
        norm = float(torch.linalg.matrix_norm(w).max())
        w = w / norm
        log_scale = 2 * (log_scale + torch.tensor(norm).log().item())
        w = w.mH @ w
    kernel = torch.fft.irfft2(w.unflatten(0, (taps, -1)).permute(2, 3, 0, 1), s=(taps, taps))
    rows = float(kernel.abs().sum((1, 2, 3)).max())
    return float(((torch.tensor(rows).log() + log_scale) / 2**steps).exp())


def four_reshapes(case: Case) -> float:
    """Take k times the least norm of four matrices made of the taps (Singla and Feizi 2021, arXiv:1911.10258)."""
    out, inner, kh, kw = case.kernel.shape
    w = case.kernel
    shapes = [
        w.reshape(out, -1),
        w.permute(0, 2, 3, 1).reshape(-1, inner),
        w.permute(0, 2, 1, 3).reshape(out * kh, inner * kw),
        w.permute(0, 3, 1, 2).reshape(out * kw, inner * kh),
    ]
    return (kh * kw) ** 0.5 * min(float(torch.linalg.matrix_norm(s, ord=2)) for s in shapes)


def lip_grid(case: Case, samples: int = 10) -> float:
    """Root of the sum over channels of the largest sum of squares on a grid (Araujo et al. 2021, arXiv:2006.08391).

    Each |sum over taps|^2 is a polynomial of degree k - 1, so its supremum is at most that on `samples` points per tap
    and axis over 1 - 2 (k - 1) / n; the lesser of the sums over inputs and outputs is taken.
    """
    k = case.kernel.shape[-1]
    n = samples * k
    squares = _symbols(case.kernel, n).abs().square()
    excess = 1 / (1 - 2 * (k - 1) / n)
    return min(float((squares.sum(axis).amax(0) * excess).sum().sqrt()) for axis in (1, 2))


def row_column_sums(case: Case) -> float:
    """Root of the largest row sum times the largest column sum of the absolute taps."""
    sizes = case.kernel.abs().sum((2, 3))
    return float((sizes.sum(0).max() * sizes.sum(1).max()).sqrt())


def aol_sums(case: Case) -> float:
    """Root of the largest row sum of |K^T * K| (Gershgorin's, as in Prach and Lampert 2022, arXiv:2208.03160)."""
    k = case.kernel.shape[-1]
    x = case.kernel.transpose(0, 1)
    return float(F.conv2d(x, x, padding=k - 1).abs().sum((1, 2, 3)).max().sqrt())


def reshaped_norm(case: Case) -> float:
    """Norm of the taps as one matrix, as `torch.nn.utils.spectral_norm`: neither an upper nor a lower bound."""
    return float(torch.linalg.matrix_norm(case.kernel.flatten(1), ord=2))


Method = Callable[[Case], float]

METHODS: dict[str, tuple[str, Method]] = {
    "power iteration, 10 steps": ("UNSOUND, below", lambda case: power_iteration(case, 10)),
    "power iteration, 100 steps": ("UNSOUND, below", lambda case: power_iteration(case, 100)),
    "reshaped matrix (torch)": ("UNSOUND, either", reshaped_norm),
    "FFT and SVD": ("float; circular only", fft_svd),
    "Gram iteration, 5": ("float; circular only", gram_iteration),
    "spatial Gram, 3": ("float; every size", spatial_gram),
    "four reshapes": ("float; every size", four_reshapes),
    "LipGrid, 10 per tap": ("float; every size", lip_grid),
    "row and column sums": ("float; every size", row_column_sums),
    "AOL sums": ("float; every size", aol_sums),
}
"""Name to whether it is a bound, and the function."""
