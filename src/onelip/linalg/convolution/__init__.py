"""Convolution kernels: their algebra, their proved norm, their spectrum."""

from onelip.linalg.convolution.kernels import autocorrelation, compose, dilate, polyphase, transpose
from onelip.linalg.convolution.norm import conv_norm_bound
from onelip.linalg.convolution.norm_at import conv_norm_at, conv_norm_size_free, conv_transpose_norm_at
from onelip.linalg.convolution.spectrum import conv_singular_values, conv_spectrum

__all__ = [
    "autocorrelation",
    "compose",
    "conv_norm_at",
    "conv_norm_bound",
    "conv_norm_size_free",
    "conv_singular_values",
    "conv_spectrum",
    "conv_transpose_norm_at",
    "dilate",
    "polyphase",
    "transpose",
]
