"""Constants of torch's elementwise functions, softmax and dropout."""

from __future__ import annotations

from typing import Any

from torch import nn

from onelip.bounds.registry import Refused, known, largest, one, register_bound, register_modules
from onelip.linalg import EXACT_ONE, Bound, sqrt_up

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

LEAST_THRESHOLD = 20.0
"""Of softplus, which is that of torch: at it, the jump of torch's function is 2.1e-9 / beta."""

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


def celu_constant(alpha: float) -> Bound:
    """Bound CELU, x or alpha (exp(x/alpha) - 1).

    Args:
        alpha: Its width.

    Returns:
        1.

    Raises:
        Refused: If alpha is not positive, since the exponential then grows without bound.
    """
    if not alpha > 0:
        raise Refused(f"alpha={alpha} makes it grow exponentially; use alpha > 0")
    return EXACT_ONE


def softplus_constant(beta: float, threshold: float) -> Bound:
    """Bound softplus, log(1 + exp(beta x)) / beta.

    Torch returns x itself where beta x exceeds the threshold, which is exp(-threshold) / |beta| off, or less: a jump,
    so that its own function has no constant. Certificates are about the smooth function, with that much added to the
    error of every entry.

    Args:
        beta: Its sharpness.
        threshold: As in torch.

    Returns:
        1.

    Raises:
        Refused: If beta is 0, or the threshold below that of torch, where the jump is not negligible.
    """
    if beta == 0 or not threshold >= LEAST_THRESHOLD:
        raise Refused(f"beta={beta} and threshold={threshold} make it jump; use beta != 0 and threshold >= 20")
    return EXACT_ONE


def shrink_constant(amount: float) -> Bound:
    """Bound soft shrinkage.

    Args:
        amount: Its lambda.

    Returns:
        1.

    Raises:
        Refused: If lambda is negative, where it jumps.
    """
    if not amount >= 0:
        raise Refused(f"lambd={amount} makes it jump; use lambd >= 0")
    return EXACT_ONE


def threshold_constant(threshold: float, value: float) -> Bound:
    """Bound the function that replaces what does not exceed a threshold by a value.

    Args:
        threshold: The threshold.
        value: The value.

    Returns:
        1.

    Raises:
        Refused: If they differ, so that it jumps.
    """
    if threshold != value:
        raise Refused(f"threshold={threshold} with value={value} jumps at the threshold; use the same number for both")
    return EXACT_ONE


def log_softmax_constant(entries: int) -> Bound:
    """Bound the logarithm of softmax.

    Its Jacobian I - 1 p^T is convex in p, so its norm is largest where p is a unit vector; there it is sqrt(n).

    Args:
        entries: n, the length of the axis.

    Returns:
        sqrt(n), rounded up; 0 for one entry, whose logarithm is 0.
    """
    return known(sqrt_up(float(entries)) if entries > 1 else 0.0)


def _sample_dim(dim: int | None, shape: tuple[int, ...]) -> int:
    if dim is None or dim % (len(shape) + 1) == 0:
        raise Refused(f"dim={dim} mixes the samples of a batch, or depends on the shape; name an axis of the sample")
    return shape[dim % (len(shape) + 1) - 1]


def _softmax(m: Any, shape: tuple[int, ...]) -> Bound:
    _sample_dim(m.dim, shape)
    return known(SOFTMAX)


def _constant(value: float) -> Any:
    return lambda module, shape: known(value)


_ONES = (
    nn.Identity, nn.ReLU, nn.ReLU6, nn.Hardtanh, nn.Tanh, nn.Tanhshrink, nn.Softsign,
    nn.LogSigmoid, nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout,
    nn.FeatureAlphaDropout, nn.Flatten, nn.Unflatten, nn.PixelShuffle, nn.PixelUnshuffle, nn.ChannelShuffle,
)  # fmt: skip
register_modules(one, *_ONES)
register_modules(_constant(SIGMOID), nn.Sigmoid)
register_modules(_constant(SILU), nn.SiLU)
register_modules(_constant(MISH), nn.Mish)
register_modules(_constant(SELU), nn.SELU)
register_modules(_softmax, nn.Softmax, nn.Softmin)
register_modules(_constant(SOFTMAX), nn.Softmax2d)
register_bound(nn.LogSoftmax, lambda m, s: log_softmax_constant(_sample_dim(m.dim, s)))
register_bound(nn.CELU, lambda m, _: celu_constant(m.alpha))
register_bound(nn.Softplus, lambda m, _: softplus_constant(m.beta, m.threshold))
register_bound(nn.Softshrink, lambda m, _: shrink_constant(m.lambd))
register_bound(nn.Threshold, lambda m, _: threshold_constant(m.threshold, m.value))
register_modules(_constant(HARD_SWISH), nn.Hardswish)
register_modules(_constant(HARD_SIGMOID), nn.Hardsigmoid)
register_bound(nn.GELU, lambda m, _: gelu_constant(m.approximate))
register_bound(nn.ELU, lambda m, _: slope_constant(m.alpha))
register_bound(nn.LeakyReLU, lambda m, _: slope_constant(m.negative_slope))
register_bound(nn.RReLU, lambda m, _: slope_constant((m.lower + m.upper) / 2))
register_bound(nn.PReLU, lambda m, _: slope_constant(largest(m.weight)))
