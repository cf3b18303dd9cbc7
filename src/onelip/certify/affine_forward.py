"""Dense layers, convolutions and the layers made of them in float64, with a bound of the rounding error."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from onelip.certify.convolve import adjoint_weight, convolve
from onelip.certify.frequency import frequency_error, frequency_forward
from onelip.certify.records import Node
from onelip.certify.values import SLACK, Rule, Values, absolute_norm, rounded, sample_norms, stored
from onelip.layers.circular import conv_transpose2d_circular
from onelip.layers.conv_arguments import ConvArguments
from onelip.layers.gradient_residual import residual_linear
from onelip.layers.sandwich_plain import sandwich_linear
from onelip.linalg import gamma


def _bias(node: Node, like: Tensor) -> Tensor | None:
    return stored(node, "bias", like) if "bias" in node.tensors else None


def _bias_norm(bias: Tensor | None, pixels: int) -> float:
    return 0.0 if bias is None else float(torch.linalg.vector_norm(bias)) * math.sqrt(pixels) * SLACK


def _affine(x: Tensor, y: Tensor, weight: Tensor, bias: Tensor | None, terms: int) -> Values:
    offset = _bias_norm(bias, 0 if bias is None else y[0].numel() // len(bias))
    return y, (sample_norms(x) * absolute_norm(weight) + offset) * gamma(terms + 3)


def _gradient_residual(x: Tensor, y: Tensor, weight: Tensor, bias: Tensor | None, pixels: int) -> Values:
    # Both products are off by at most gamma times |W| times the size of what they multiply, which for the second is at
    # most that of W x + b; the error of the first goes through the second.
    absolute = absolute_norm(weight)
    hidden = sample_norms(x) * absolute + _bias_norm(bias, pixels)
    terms = max(weight.shape[:2]) * weight[0, 0].numel() + 3
    return y, 4 * absolute * hidden * gamma(terms) * SLACK + (sample_norms(x) + sample_norms(y)) * gamma(4)


def _linear(node: Node, inputs: list[Tensor]) -> Values:
    weight, bias = stored(node, "weight", inputs[0]), _bias(node, inputs[0])
    return _affine(inputs[0], F.linear(inputs[0], weight, bias), weight, bias, weight.shape[1])


def _grouped(weight: Tensor) -> int:
    return weight[0].numel()


_CONVOLUTIONS: dict[int, Any] = {1: F.conv1d, 3: F.conv3d}
_TRANSPOSED: dict[int, Any] = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}


def _padded(x: Tensor, pads: list[int], mode: str) -> Tensor:
    # Pads are (before, after) of the first axis, then of the next.
    sides = list(zip(pads[::2], pads[1::2], strict=True))
    if mode == "circular":
        for axis, (before, after) in enumerate(sides, 2):
            size = x.shape[axis]
            x = x.index_select(axis, torch.arange(-before, size + after, device=x.device) % size)
        return x
    reversed_pads = [p for side in reversed(sides) for p in side]
    return F.pad(x, reversed_pads, mode="constant" if mode == "zeros" else mode)


def _conv(node: Node, inputs: list[Tensor]) -> Values:
    x, a = inputs[0], node.attributes
    weight, bias = stored(node, "weight", x), _bias(node, x)
    padded = _padded(x, a["pads"], a["padding_mode"])
    if weight.dim() == 4:
        (s_h, s_w), (d_h, d_w) = a["stride"], a["dilation"]
        y = convolve(padded, weight, bias, (s_h, s_w), (d_h, d_w), a["groups"])
    else:
        y = _CONVOLUTIONS[weight.dim() - 2](padded, weight, bias, a["stride"], 0, a["dilation"], a["groups"])
    return _affine(padded, y, weight, bias, _grouped(weight))


def _conv_transpose(node: Node, inputs: list[Tensor]) -> Values:
    x, a = inputs[0], node.attributes
    weight, bias = stored(node, "weight", x), _bias(node, x)
    options = a["stride"], a["padding"], a["output_padding"], a["groups"], a["dilation"]
    y = _TRANSPOSED[weight.dim() - 2](x, weight, bias, *options)
    return _affine(x, y, weight, bias, len(weight) // a["groups"] * weight[0, 0].numel())


def _arguments(
    node: Node, inputs: int, outputs: int, stride: list[int], mode: Literal["zeros", "circular"]
) -> ConvArguments:
    a, weight = node.attributes, node.tensors["weight"]
    top, bottom, left, right = a["pads"]
    kernel = (weight.shape[2], weight.shape[3])
    pads, dilation = (left, right, top, bottom), (a["dilation"][0], a["dilation"][1])
    steps = (stride[0], stride[1])
    return ConvArguments(node.name, inputs, outputs, kernel, steps, (top, left), dilation, a["groups"], mode, pads)


def _circular_conv_transpose2d(node: Node, inputs: list[Tensor]) -> Values:
    x, a = inputs[0], node.attributes
    weight, bias = stored(node, "weight", x), _bias(node, x)
    arguments = _arguments(node, len(weight), weight.shape[1] * a["groups"], a["stride"], "circular")
    y = conv_transpose2d_circular(x, weight, bias, arguments)
    return _affine(x, y, weight, bias, len(weight) // a["groups"] * weight[0, 0].numel())


def _gradient_residual2d(node: Node, inputs: list[Tensor]) -> Values:
    x, a = inputs[0], node.attributes
    weight, bias = stored(node, "weight", x), _bias(node, x)
    arguments = _arguments(node, weight.shape[1] * a["groups"], len(weight), [1, 1], a["padding_mode"])
    hidden = convolve(arguments.pad(x), weight, bias, (1, 1), arguments.dilation, arguments.groups).relu_()
    left, right, top, bottom = arguments.pads
    back = replace(arguments, pads=(right, left, bottom, top)).pad(hidden)
    adjoint = convolve(back, adjoint_weight(weight, arguments.groups), None, (1, 1), arguments.dilation, a["groups"])
    return _gradient_residual(x, torch.sub(x, adjoint, alpha=2), weight, bias, x[0, 0].numel())


def _gradient_residual1d(node: Node, inputs: list[Tensor]) -> Values:
    x = inputs[0]
    weight, bias = stored(node, "weight", x), _bias(node, x)
    return _gradient_residual(x, residual_linear(x, weight, bias), weight, bias, x[0].numel() // x.shape[-1])


def _skew_series2d(node: Node, inputs: list[Tensor]) -> Values:
    # Horner's rule; each step is off by its own rounding and by the norm of the convolution times what came before.
    x, a = inputs[0], node.attributes
    weight, bias = stored(node, "weight", x), _bias(node, x)
    arguments = _arguments(node, len(weight), len(weight), [1, 1], a["padding_mode"])
    absolute, terms = absolute_norm(weight), weight[0].numel() + 3
    y, error = rounded(x * a["coefficients"][-1], 1)
    for coefficient in reversed(a["coefficients"][:-1]):
        local = sample_norms(y) * (absolute * gamma(terms)) + sample_norms(x) * (abs(coefficient) * gamma(4))
        y = convolve(arguments.pad(y), weight, None, (1, 1), arguments.dilation, arguments.groups)
        y.add_(x, alpha=coefficient)
        error = (error * a["norm"] + local + sample_norms(y) * gamma(4)) * SLACK
    if bias is not None:
        y, last = rounded(y + bias[:, None, None], 1)
        error = error + last
    return y, error


def _largest_frobenius(spectrum: Tensor) -> float:
    # Frobenius norms, of entries near 1: squares of tiny ones would be 0. Of the pairs of real numbers: three times
    # faster than of complex ones.
    pairs = torch.view_as_real(spectrum)
    size = float(pairs.abs().max())
    scale = 2.0 ** max(-1000, math.frexp(size)[1]) if 0 < size < 2.0**1000 else 1.0
    return math.sqrt(float((pairs / scale).square().sum((-3, -2, -1)).max())) * scale * SLACK


def _frequency_conv2d(node: Node, inputs: list[Tensor]) -> Values:
    x = inputs[0]
    spectrum = torch.view_as_complex(stored(node, "spectrum", x))
    y = frequency_forward(x, spectrum, _bias(node, x))
    largest = _largest_frobenius(spectrum)
    size = x.shape[-2], x.shape[-1]
    relative = frequency_error(size, largest, node.constant, spectrum.shape[-1])
    return y, sample_norms(x) * relative + sample_norms(y) * gamma(4)


def _sandwich1d(node: Node, inputs: list[Tensor]) -> Values:
    x = inputs[0]
    weight, bias = stored(node, "weight", x), _bias(node, x)
    y = sandwich_linear(x, weight, bias, node.attributes["outputs"])
    # Two products and a ReLU, like the residual that is taken off the input there.
    return _gradient_residual(x, y, weight, bias, x[0].numel() // x.shape[-1])


def _frequency_sandwich2d(node: Node, inputs: list[Tensor]) -> Values:
    x, outputs = inputs[0], node.attributes["outputs"]
    spectrum = torch.view_as_complex(stored(node, "weight", x))
    before = frequency_forward(x, spectrum[..., outputs:], _bias(node, x))
    y = 2 * frequency_forward(before.relu(), spectrum[..., :outputs].mH, None)
    # The constant is the square of the norm of [A B], which bounds those of A and B; the error of B x goes through A.
    own = math.sqrt(node.constant) * SLACK
    largest = _largest_frobenius(spectrum)
    relative = frequency_error((x.shape[-2], x.shape[-1]), largest, own, max(spectrum.shape[-2:]))
    first = sample_norms(x) * relative + sample_norms(before) * gamma(4)
    return y, 2 * (own * first + sample_norms(before) * relative) * SLACK + sample_norms(y) * gamma(4)


AFFINE: dict[str, Rule] = {
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
