"""Linear algebra on tensors: orthogonalisation, proved norms, kernel algebra. No modules, no input or output."""

from onelip.linalg.bound import EXACT_ONE, Bound
from onelip.linalg.complex_norms import complex_norm_bound
from onelip.linalg.convolution import (
    autocorrelation,
    compose,
    conv_norm_at,
    conv_norm_bound,
    conv_norm_size_free,
    conv_singular_values,
    conv_spectrum,
    conv_transpose_norm_at,
    dilate,
    polyphase,
    transpose,
)
from onelip.linalg.errors import unknown_name
from onelip.linalg.norms import matrix_norm_bound
from onelip.linalg.orthogonalise import (
    ORTHOGONALISERS,
    Orthogonalised,
    Orthogonaliser,
    bjorck,
    cayley,
    cholesky,
    exponential,
    householder,
    newton_schulz,
    polar_express,
    qr,
)
from onelip.linalg.precision import full_precision
from onelip.linalg.rounding import UNIT_ROUNDOFF, add_up, divide_up, down, gamma, multiply_up, sqrt_up, up

__all__ = [
    "EXACT_ONE",
    "ORTHOGONALISERS",
    "UNIT_ROUNDOFF",
    "Bound",
    "Orthogonalised",
    "Orthogonaliser",
    "add_up",
    "autocorrelation",
    "bjorck",
    "cayley",
    "cholesky",
    "complex_norm_bound",
    "compose",
    "conv_norm_at",
    "conv_norm_bound",
    "conv_norm_size_free",
    "conv_singular_values",
    "conv_spectrum",
    "conv_transpose_norm_at",
    "dilate",
    "divide_up",
    "down",
    "exponential",
    "full_precision",
    "gamma",
    "householder",
    "matrix_norm_bound",
    "multiply_up",
    "newton_schulz",
    "polar_express",
    "polyphase",
    "qr",
    "sqrt_up",
    "transpose",
    "unknown_name",
    "up",
]
