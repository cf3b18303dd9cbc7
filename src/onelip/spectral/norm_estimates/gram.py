"""Upper bounds of norms by Gram iteration, of matrices and of convolutions under circular and zero padding."""

from __future__ import annotations

import torch
from torch import Tensor

from onelip.spectral.norm_estimates.problem import Problem, phases
from onelip.spectral.norm_estimates.registry import register_norm
from onelip.spectral.norm_estimates.sedghi import ring_spectrum


@register_norm("gram-dense", kind="upper", steps=10, paper="Delattre et al. 2023, arXiv:2305.16173")
def gram_dense(problem: Problem, steps: int) -> Tensor:
    """||W||^p <= ||W_t||_F with W_(t+1) = W_t^T W_t and p = 2^t, for matrices.

    The published version with a backward pass of its own stops after one step; this one is differentiated as it is.

    Args:
        problem: A matrix.
        steps: Squarings, t.

    Returns:
        The bound, at most rank^(1/2p) times the norm.

    Raises:
        NotApplicableError: It is not a matrix.
    """
    return frobenius_of_power(problem.dense("gram-dense"), steps)


@register_norm("gram-circular", kind="upper", steps=6, paper="Delattre et al. 2023, arXiv:2305.16173")
def gram_circular(problem: Problem, steps: int) -> Tensor:
    """Gram iteration at every frequency of the image: an upper bound for circular convolutions.

    It holds where "sedghi" does. As published, the stride is ignored, and without a size that of the kernel is taken;
    here the phases of a strided convolution are used, and the size has to be given.

    Args:
        problem: A circular convolution of images of one size.
        steps: Squarings.

    Returns:
        The bound, at most channels^(1/2p) times the norm with p = 2^steps.

    Raises:
        NotApplicableError: It is not one.

    Cost: n^2 / 2 times `steps` products of square matrices of the smaller number of channels.
    """
    return frobenius_of_power(ring_spectrum(problem, "gram-circular"), steps).max()


@register_norm("gram-zero", kind="upper", steps=4, paper="Delattre et al. 2024, arXiv:2402.00240")
def gram_zero(problem: Problem, steps: int) -> Tensor:
    """Largest sum of the absolute taps of the t-th Gram kernel: an upper bound for every image size.

    ||K||^p <= max over channels of the sum of |taps| of K_t, with K_(t+1) = K_t^T * K_t and p = 2^t. It holds for zero
    padding, and for circular padding that repeats no pixel; strides and dilations by the phases of the kernel.

    Args:
        problem: A convolution of any padding but reflected and replicated.
        steps: Squarings, t.

    Returns:
        The bound.

    Raises:
        NotApplicableError: The padding repeats pixels.

    Cost: `steps` products of matrices of the smaller number of channels at about (2^t (k - 1))^2 / 2 frequencies.
    """
    kernels = phases(problem.unrepeated("gram-zero"))
    # With as many frequencies as K_t has taps, products of transforms are convolutions without wrapping.
    counts = [2**steps * (k - 1) + 1 for k in kernels.shape[-2:]]
    w = torch.fft.rfft2(kernels, s=counts).permute(0, 3, 4, 1, 2)
    w = w.mH if w.shape[-1] > w.shape[-2] else w
    log_scale = w.new_zeros(len(w), dtype=w.real.dtype)
    for _ in range(steps):
        size = _positive(torch.linalg.matrix_norm(w).amax((1, 2)))
        w, log_scale = w / size[:, None, None, None, None], 2 * (log_scale + size.log())
        w = w.mH @ w
    taps = torch.fft.irfft2(w.permute(0, 3, 4, 1, 2), s=counts)
    sums = taps.abs().sum((2, 3, 4)).amax(1)
    return torch.where(sums > 0, ((_positive(sums).log() + log_scale) / 2**steps).exp(), 0.0).max()


def frobenius_of_power(matrices: Tensor, steps: int) -> Tensor:
    """Bound norms by the Frobenius norm of the p-th Gram power, to the power of 1 / p, p = 2^steps.

    Args:
        matrices: (..., m, n), real or complex.
        steps: Squarings.

    Returns:
        (...) real.
    """
    w = matrices.mH if matrices.shape[-1] > matrices.shape[-2] else matrices
    log_scale = torch.zeros_like(w[..., 0, 0].real)
    for _ in range(steps):
        size = _positive(torch.linalg.matrix_norm(w))
        w, log_scale = w / size[..., None, None], 2 * (log_scale + size.log())
        w = w.mH @ w
    last = torch.linalg.matrix_norm(w)
    return torch.where(last > 0, ((_positive(last).log() + log_scale) / 2**steps).exp(), 0.0)


def _positive(x: Tensor) -> Tensor:
    return torch.where(x > 0, x, 1.0)
