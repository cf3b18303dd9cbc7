"""The norm of a circular convolution by Fourier transform and singular values."""

from __future__ import annotations

import torch
from torch import Tensor

from onelip.linalg import conv_spectrum
from onelip.spectral.norm_estimates.problem import Problem
from onelip.spectral.norm_estimates.registry import register_norm


@register_norm("sedghi", kind="exact", paper="Sedghi, Gupta and Long 2019, arXiv:1805.10408")
def sedghi(problem: Problem) -> Tensor:
    """Largest singular value over the frequencies of the image: exact for circular convolutions.

    It holds for circular padding that keeps the image size or divides it by the stride, at the image's own size, with
    any dilation and groups; a strided convolution is one of its phases. For zero padding it is neither bound, though
    its maximum over all sizes is an upper one; as published, the kernel is cut to the image where it is larger, here it
    is wrapped around.

    Args:
        problem: A circular convolution of images of one size.

    Returns:
        The norm.

    Raises:
        NotApplicableError: It is not one.

    Cost: n^2 / 2 singular values of (out, in) matrices.
    """
    return torch.linalg.svdvals(ring_spectrum(problem, "sedghi"))[..., 0].max()


def ring_spectrum(problem: Problem, method: str) -> Tensor:
    """Give the matrices of a circular convolution at half of the frequencies.

    Args:
        problem: A circular convolution of images of one size.
        method: Who asks, for messages.

    Returns:
        (n_h, n_w/2 + 1, groups, out/groups, in/groups), complex.

    Raises:
        NotApplicableError: It is not one.
    """
    conv = problem.ring(method)
    return conv_spectrum(
        conv.weight,
        (conv.sizes[0], conv.sizes[1]),
        stride=(conv.stride[0], conv.stride[1]),
        dilation=(conv.dilation[0], conv.dilation[1]),
        groups=conv.groups,
    )
