"""Dense layers, convolutions and the residual and sandwich layers made of them, in balls."""

from __future__ import annotations

from collections.abc import Callable

from flint import arb

from onelip.certify.checker.network import Array, Step
from onelip.certify.paranoid.balls import Balls, exact, product
from onelip.certify.paranoid.errors import require
from onelip.certify.paranoid.fourier import adjoints, multiply_frequencies, spectrum_of
from onelip.certify.paranoid.taps import (
    Taps,
    circular_adjoint,
    convolution,
    rectified,
    strides,
    with_bias,
    zero_adjoint,
)


def _dense(step: Step, weight: Array, x: Balls) -> Balls:
    require(weight.ndim == 2 and weight.shape[1] == x.shape[-1], step, f"weight {weight.shape} for input {x.shape}")
    y = product(exact(weight), x.reshape(-1, x.shape[-1]).T)
    return y.T.reshape(*x.shape[:-1], len(weight))


def _linear(step: Step, x: Balls) -> Balls:
    return with_bias(step, _dense(step, step.arrays["weight"], x), x.ndim - 1)


def _conv(step: Step, x: Balls) -> Balls:
    return with_bias(step, convolution(step, x.shape).apply(x))


def transposed(step: Step, shape: tuple[int, ...]) -> Taps:
    """Read a transposed convolution.

    Args:
        step: Has weight and geometry, `padding` and `output_padding`.
        shape: `(N, in, ...)`.

    Returns:
        The map.
    """
    n = len(shape) - 2
    stride, dilation, padding = strides(step, n), step.wholes("dilation", 1, n), step.wholes("padding", 0, n)
    extra, kernel = step.wholes("output_padding", 0, n), step.arrays["weight"].shape[2:]
    last = tuple(
        (size - 1) * s + d * (k - 1) + 1 + e - p
        for size, s, d, k, e, p in zip(shape[2:], stride, dilation, kernel, extra, padding, strict=True)
    )
    return zero_adjoint(step, shape, padding, last)


def _conv_transpose(step: Step, x: Balls) -> Balls:
    return with_bias(step, transposed(step, x.shape).apply(x))


def _circular_conv_transpose2d(step: Step, x: Balls) -> Balls:
    return with_bias(step, circular_adjoint(step, x.shape).apply(x))


def _gradient_residual1d(step: Step, x: Balls) -> Balls:
    hidden = rectified(_linear(step, x))
    result: Balls = x - _dense(step, step.arrays["weight"].T, hidden) * 2
    return result


def _gradient_residual2d(step: Step, x: Balls) -> Balls:
    hidden = rectified(_conv(step, x))
    require(hidden.shape[2:] == x.shape[2:], step, "its convolution changes the image size")
    mode = step.attributes["padding_mode"]
    require(mode in ("zeros", "circular"), step, "its adjoint is known for zero and circular padding")
    if mode == "circular":
        back = circular_adjoint(step, hidden.shape)
    else:
        top, _, left, _ = step.wholes("pads", 0, 4)
        back = zero_adjoint(step, hidden.shape, (top, left), (top + x.shape[2], left + x.shape[3]))
    result: Balls = x - back.apply(hidden) * 2
    return result


def _skew_series2d(step: Step, x: Balls) -> Balls:
    coefficients, taps = step.attributes["coefficients"], convolution(step, x.shape)
    y = x * arb(float(coefficients[-1]))
    for coefficient in reversed(coefficients[:-1]):
        image = taps.apply(y)
        require(image.shape == x.shape, step, "its convolution changes the shape")
        y = image + x * arb(float(coefficient))
    return with_bias(step, y)


def _sandwich1d(step: Step, x: Balls) -> Balls:
    weight, outputs = step.arrays["weight"], step.whole("outputs", 1)
    hidden = with_bias(step, _dense(step, weight[:, outputs:], x), x.ndim - 1)
    result: Balls = _dense(step, weight[:, :outputs].T, rectified(hidden)) * 2
    return result


def _frequency_conv2d(step: Step, x: Balls) -> Balls:
    return with_bias(step, multiply_frequencies(step, spectrum_of(step, "spectrum"), x))


def _frequency_sandwich2d(step: Step, x: Balls) -> Balls:
    spectrum, outputs = spectrum_of(step, "weight"), step.whole("outputs", 1)
    hidden = with_bias(step, multiply_frequencies(step, spectrum[..., outputs:, :], x))
    result: Balls = multiply_frequencies(step, adjoints(spectrum[..., :outputs, :]), rectified(hidden)) * 2
    return result


AFFINE: dict[str, Callable[[Step, Balls], Balls]] = {
    "circular_conv_transpose2d": _circular_conv_transpose2d,
    "conv1d": _conv,
    "conv2d": _conv,
    "conv3d": _conv,
    "conv_transpose1d": _conv_transpose,
    "conv_transpose2d": _conv_transpose,
    "conv_transpose3d": _conv_transpose,
    "frequency_conv2d": _frequency_conv2d,
    "frequency_sandwich2d": _frequency_sandwich2d,
    "gradient_residual1d": _gradient_residual1d,
    "gradient_residual2d": _gradient_residual2d,
    "linear": _linear,
    "sandwich1d": _sandwich1d,
    "skew_series2d": _skew_series2d,
}
"""Operations by name."""
