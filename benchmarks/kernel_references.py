"""Bounds and estimates of the norm of a 2-D convolution from the literature, for comparison, in plain float64.

None of these is a proof on a computer: those that are upper bounds in real arithmetic are computed in floating point
without a bound of the rounding error.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from onelip.spectral import norm_estimate


@dataclass(frozen=True)
class Case:
    """A kernel (out, in, k, k), odd k, at stride 1 on images (n, n), padded to the same size."""

    name: str
    kernel: Tensor
    size: int
    mode: str


def estimate(case: Case, method: str, steps: int | None = None) -> float:
    """A method of `onelip.spectral.norm_estimate` at the case's own padding."""
    shape = (case.kernel.shape[1], case.size, case.size)
    padding = case.kernel.shape[-1] // 2
    return float(norm_estimate(case.kernel, method, shape, steps=steps, padding=padding, padding_mode=case.mode))


def power_iteration(case: Case, steps: int) -> float:
    """A LOWER estimate (as used by Ryu et al. 2019 and many after)."""
    return estimate(case, "ryu", steps)


def _ring(case: Case) -> Case:
    # What is computed where the padding is not asked for.
    return replace(case, mode="circular")


def fft_svd(case: Case) -> float:
    """Largest singular value over the frequencies of the image: exact for circular padding (Sedghi et al. 2019)."""
    return estimate(_ring(case), "sedghi")


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
    "Gram iteration, 5": ("float; circular only", lambda case: estimate(_ring(case), "gram-circular", 5)),
    "spatial Gram, 3": ("float; every size", lambda case: estimate(case, "gram-zero", 3)),
    "four reshapes": ("float; every size", lambda case: estimate(case, "singla")),
    "LipGrid, 10 per tap": (
        "float; every size",
        lambda case: estimate(case, "araujo", 10 * case.kernel.shape[-1]),
    ),
    "row and column sums": ("float; every size", row_column_sums),
    "AOL sums": ("float; every size", aol_sums),
}
"""Name to whether it is a bound, and the function."""
