"""Constants of torch's elementwise functions, softmax and dropout."""

from __future__ import annotations

from typing import Any

from torch import nn

from onelip.bounds.registry import known, largest, one, register_bound, register_modules
from onelip.linalg import Bound

SIGMOID = 0.25
"""Largest derivative of the logistic function, at 0."""

GELU = 1.1290
"""Above Phi(sqrt 2) + sqrt 2 phi(sqrt 2) = 1.128904..., the largest derivative of x Phi(x)."""

TANH_GELU = 1.1300
"""Above 1.12905..., the largest derivative of the tanh form of GELU."""

SILU = 1.0999
"""Above 1.099839..., the largest derivative of x sigmoid(x)."""

MISH = 1.0886
"""Above 1.088499..., the largest derivative of x tanh(softplus(x))."""

SELU = 1.7581
"""Above scale * alpha = 1.758099..., the limit of the derivative from below 0."""

SOFTMAX = 0.5
"""Its Jacobian diag(p) - p p^T is symmetric with absolute row sums 2 p_i (1 - p_i) <= 1/2."""

HARD_SWISH = 1.5
"""Largest derivative (2 x + 3) / 6 of x relu6(x + 3) / 6, at 3."""

HARD_SIGMOID = 0.16666668
"""Above 1/6, the slope of relu6(x + 3) / 6, and above the single-precision 1/6 of torch's derivative."""


def gelu_constant(approximate: str) -> Bound:
    """Bound GELU.

    Args:
        approximate: "none" or "tanh".

    Returns:
        The bound.
    """
    return known(GELU if approximate == "none" else TANH_GELU)


def slope_constant(slope: float) -> Bound:
    """Bound a function with slope 1 on the right of 0 and at most |slope| on the left.

    Args:
        slope: The slope on the left.

    Returns:
        max(1, |slope|).
    """
    return known(max(1.0, abs(float(slope))))


def _constant(value: float) -> Any:
    return lambda module, shape: known(value)


_ONES = (
    nn.Identity, nn.ReLU, nn.ReLU6, nn.Hardtanh, nn.Tanh, nn.Tanhshrink, nn.Softplus, nn.Softsign, nn.Softshrink,
    nn.LogSigmoid, nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout,
    nn.FeatureAlphaDropout, nn.Flatten, nn.Unflatten, nn.PixelShuffle, nn.PixelUnshuffle, nn.ChannelShuffle, nn.CELU,
)  # fmt: skip
register_modules(one, *_ONES)
register_modules(_constant(SIGMOID), nn.Sigmoid)
register_modules(_constant(SILU), nn.SiLU)
register_modules(_constant(MISH), nn.Mish)
register_modules(_constant(SELU), nn.SELU)
register_modules(_constant(SOFTMAX), nn.Softmax, nn.Softmin, nn.Softmax2d)
register_modules(_constant(HARD_SWISH), nn.Hardswish)
register_modules(_constant(HARD_SIGMOID), nn.Hardsigmoid)
register_bound(nn.GELU, lambda m, _: gelu_constant(m.approximate))
register_bound(nn.ELU, lambda m, _: slope_constant(m.alpha))
register_bound(nn.LeakyReLU, lambda m, _: slope_constant(m.negative_slope))
register_bound(nn.RReLU, lambda m, _: slope_constant((m.lower + m.upper) / 2))
register_bound(nn.PReLU, lambda m, _: slope_constant(largest(m.weight)))
