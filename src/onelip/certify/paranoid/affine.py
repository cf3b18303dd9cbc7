"""Dense layers, convolutions and the residual and sandwich layers made of them, in balls."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

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
    with_bias,
    zero_adjoint,
)


def _dense(step: Step, weight: Array, x: Balls) -> Balls:
    require(weight.ndim == 2 and weight.shape[1] == x.shape[-1], step, f"weight {weight.shape} for input {x.shape}")
    y = product(exact(weight), x.reshape(-1, x.shape[-1]).T)
    return y.T.reshape(*x.shape[:-1], len(weight))


def _linear(step: Step, x: Balls) -> Balls:
    return with_bias(step, _dense(step, step.arrays["weight"], x), x.ndim - 1)


def of_height_one(step: Step) -> Step:
    """Read a 1-D convolution as one of images of height 1.

    Args:
        step: Has weight `(out, in/groups, k)`, with one number for each option of an axis.

    Returns:
        A step like those of 2-D convolutions.
    """
    weight = step.arrays["weight"]
    require(weight.ndim == 3, step, f"weight {weight.shape}")
    axes = {
        "stride": [1, *step.wholes("stride", 1, 1)],
        "pads": [0, 0, *step.wholes("pads", 0, 2)],
        "dilation": [1, *step.wholes("dilation", 1, 1)],
    }
    return replace(step, attributes={**step.attributes, **axes}, arrays={**step.arrays, "weight": weight[:, :, None]})


def _conv2d(step: Step, x: Balls) -> Balls:
    return with_bias(step, convolution(step, x.shape).apply(x))


def _conv1d(step: Step, x: Balls) -> Balls:
    return _conv2d(of_height_one(step), x[:, :, None])[:, :, 0]


def transposed(step: Step, shape: tuple[int, ...]) -> Taps:
    """Read a transposed convolution.

    Args:
        step: Has weight and geometry, `padding` and `output_padding`.
        shape: `(N, in, H, W)`.

    Returns:
        The map.
    """
    stride, dilation, padding = (step.wholes(name, 0, 2) for name in ("stride", "dilation", "padding"))
    extra, kernel = step.wholes("output_padding", 0, 2), step.arrays["weight"].shape[2:]
    last = tuple(
        (n - 1) * s + d * (k - 1) + 1 + e - p
        for n, s, d, k, e, p in zip(shape[2:], stride, dilation, kernel, extra, padding, strict=True)
    )
    return zero_adjoint(step, shape, (padding[0], padding[1]), (last[0], last[1]))


def _conv_transpose2d(step: Step, x: Balls) -> Balls:
    return with_bias(step, transposed(step, x.shape).apply(x))


def _circular_conv_transpose2d(step: Step, x: Balls) -> Balls:
    return with_bias(step, circular_adjoint(step, x.shape).apply(x))


def _gradient_residual1d(step: Step, x: Balls) -> Balls:
    hidden = rectified(_linear(step, x))
    result: Balls = x - _dense(step, step.arrays["weight"].T, hidden) * 2
    return result


def _gradient_residual2d(step: Step, x: Balls) -> Balls:
    hidden = rectified(_conv2d(step, x))
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
    "conv1d": _conv1d,
    "conv2d": _conv2d,
    "conv_transpose2d": _conv_transpose2d,
    "frequency_conv2d": _frequency_conv2d,
    "frequency_sandwich2d": _frequency_sandwich2d,
    "gradient_residual1d": _gradient_residual1d,
    "gradient_residual2d": _gradient_residual2d,
    "linear": _linear,
    "sandwich1d": _sandwich1d,
    "skew_series2d": _skew_series2d,
}
"""Operations by name."""
