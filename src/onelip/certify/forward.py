"""Evaluate a frozen network in float64, with a proved bound of the rounding error of every sample.

For each value x of the real-arithmetic network, the computed x^ and a bound e >= ||x^ - x|| are carried along:
e_out = (constant of the operation) e_in + (rounding error of the operation at x^). A sum of n products obeys
|fl(sum) - sum| <= gamma_n sum |products| in any order of summation, which for y = W x + b gives
||fl(y) - y|| <= gamma_(n+2) (|| |W| || ||x^|| + ||b||), with || |W| ||^2 at most the largest row sum of |W| times its
largest column sum. The bounds themselves are computed in float64 and multiplied by 1 + 1e-9 at each step.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from onelip.certify.activation_forward import ACTIVATIONS
from onelip.certify.frequency import frequency_error, frequency_forward
from onelip.certify.records import INPUT, Network, Node
from onelip.certify.values import SLACK, TINY, Rule, Values, exact, rounded, sample_norms, stored
from onelip.certify.window_forward import window_max, window_norm, window_sum
from onelip.layers.circular import conv_transpose2d_circular
from onelip.layers.conv_arguments import ConvArguments, circular_pad
from onelip.layers.gradient_residual import residual_conv2d, residual_linear
from onelip.layers.sandwich_plain import sandwich_linear
from onelip.linalg import gamma


def evaluate(network: Network, images: Tensor) -> Values:
    """Run a batch through a frozen network.

    Args:
        network: The network.
        images: `(N, ...)` float64; its samples are exact.

    Returns:
        The output, `(N, ...)` float64, and a proved bound `(N,)` of the l2 distance of each sample's output from that
        in real arithmetic; infinite or NaN if the output is.
    """
    start = images, torch.zeros(len(images), dtype=torch.float64, device=images.device)
    values: dict[str, Values] = {INPUT: start}
    last = {name: i for i, node in enumerate(network.nodes) for name in node.inputs}
    with torch.no_grad(), torch.backends.cudnn.flags(enabled=False):
        for i, node in enumerate(network.nodes):
            values[node.name] = _step(node, [values[name] for name in node.inputs])
            for name in node.inputs:
                if last[name] == i and name != network.output:
                    values.pop(name, None)
    return values[network.output]


def _step(node: Node, inputs: list[Values]) -> Values:
    computed = [x for x, _ in inputs]
    if node.branch is not None:
        return _BRANCHES[node.op](node, *inputs[0])
    output, local = _RULES[node.op](node, computed)
    total = torch.stack([error for _, error in inputs]).sum(0)
    carried = total * node.constant if len(inputs) == 1 else total
    return output, (carried + local) * SLACK + TINY


def _bias(node: Node, like: Tensor) -> Tensor | None:
    return stored(node, "bias", like) if "bias" in node.tensors else None


def _absolute_norm(weight: Tensor) -> float:
    # The entries of |W| outside of its two leading axes are taps, each of which meets a pixel at most once.
    size = weight.abs().flatten(2) if weight.dim() > 2 else weight.abs()[..., None]
    rows, columns = size.sum((1, 2)).max(), size.sum((0, 2)).max()
    return math.sqrt(float(rows) * float(columns)) * SLACK


def _bias_norm(bias: Tensor | None, pixels: int) -> float:
    return 0.0 if bias is None else float(torch.linalg.vector_norm(bias)) * math.sqrt(pixels) * SLACK


def _affine(x: Tensor, y: Tensor, weight: Tensor, bias: Tensor | None, terms: int) -> Values:
    offset = _bias_norm(bias, 0 if bias is None else y[0].numel() // len(bias))
    return y, (sample_norms(x) * _absolute_norm(weight) + offset) * gamma(terms + 3)


def _gradient_residual(x: Tensor, y: Tensor, weight: Tensor, bias: Tensor | None, pixels: int) -> Values:
    # Both products are off by at most gamma times |W| times the size of what they multiply, which for the second is at
    # most that of W x + b; the error of the first goes through the second.
    absolute = _absolute_norm(weight)
    hidden = sample_norms(x) * absolute + _bias_norm(bias, pixels)
    terms = max(weight.shape[:2]) * weight[0, 0].numel() + 3
    return y, 4 * absolute * hidden * gamma(terms) * SLACK + (sample_norms(x) + sample_norms(y)) * gamma(4)


def _linear(node: Node, inputs: list[Tensor]) -> Values:
    weight, bias = stored(node, "weight", inputs[0]), _bias(node, inputs[0])
    return _affine(inputs[0], F.linear(inputs[0], weight, bias), weight, bias, weight.shape[1])


def _grouped(weight: Tensor) -> int:
    return weight[0].numel()


def _conv2d(node: Node, inputs: list[Tensor]) -> Values:
    x, a = inputs[0], node.attributes
    weight, bias = stored(node, "weight", x), _bias(node, x)
    top, bottom, left, right = a["pads"]
    pads, mode = (left, right, top, bottom), a["padding_mode"]
    padded = (
        circular_pad(x, pads) if mode == "circular" else F.pad(x, pads, mode="constant" if mode == "zeros" else mode)
    )
    y = F.conv2d(padded, weight, bias, a["stride"], 0, a["dilation"], a["groups"])
    return _affine(padded, y, weight, bias, _grouped(weight))


def _conv1d(node: Node, inputs: list[Tensor]) -> Values:
    # Images of height 1.
    a = node.attributes
    one = {"stride": [1, *a["stride"]], "pads": [0, 0, *a["pads"]], "dilation": [1, *a["dilation"]]}
    lifted = replace(
        node, attributes={**a, **one}, tensors={**node.tensors, "weight": node.tensors["weight"][:, :, None]}
    )
    y, error = _conv2d(lifted, [inputs[0][:, :, None]])
    return y[:, :, 0], error


def _conv_transpose2d(node: Node, inputs: list[Tensor]) -> Values:
    x, a = inputs[0], node.attributes
    weight, bias = stored(node, "weight", x), _bias(node, x)
    y = F.conv_transpose2d(x, weight, bias, a["stride"], a["padding"], a["output_padding"], a["groups"], a["dilation"])
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
    return _gradient_residual(x, residual_conv2d(x, weight, bias, arguments), weight, bias, x[0, 0].numel())


def _gradient_residual1d(node: Node, inputs: list[Tensor]) -> Values:
    x = inputs[0]
    weight, bias = stored(node, "weight", x), _bias(node, x)
    return _gradient_residual(x, residual_linear(x, weight, bias), weight, bias, x[0].numel() // x.shape[-1])


def _skew_series2d(node: Node, inputs: list[Tensor]) -> Values:
    # Horner's rule; each step is off by its own rounding and by the norm of the convolution times what came before.
    x, a = inputs[0], node.attributes
    weight, bias = stored(node, "weight", x), _bias(node, x)
    arguments = _arguments(node, len(weight), len(weight), [1, 1], a["padding_mode"])
    absolute, terms = _absolute_norm(weight), weight[0].numel() + 3
    y, error = rounded(x * a["coefficients"][-1], 1)
    for coefficient in reversed(a["coefficients"][:-1]):
        local = sample_norms(y) * (absolute * gamma(terms)) + sample_norms(x) * (abs(coefficient) * gamma(4))
        y = F.conv2d(arguments.pad(y), weight, None, 1, 0, arguments.dilation, arguments.groups) + coefficient * x
        error = (error * a["norm"] + local + sample_norms(y) * gamma(4)) * SLACK
    if bias is not None:
        y, last = rounded(y + bias[:, None, None], 1)
        error = error + last
    return y, error


def _frequency_conv2d(node: Node, inputs: list[Tensor]) -> Values:
    x = inputs[0]
    spectrum = torch.view_as_complex(stored(node, "spectrum", x))
    y = frequency_forward(x, spectrum, _bias(node, x))
    largest = float(torch.linalg.matrix_norm(spectrum).max()) * SLACK
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
    largest = float(torch.linalg.matrix_norm(spectrum).max()) * SLACK
    relative = frequency_error((x.shape[-2], x.shape[-1]), largest, own, max(spectrum.shape[-2:]))
    first = sample_norms(x) * relative + sample_norms(before) * gamma(4)
    return y, 2 * (own * first + sample_norms(before) * relative) * SLACK + sample_norms(y) * gamma(4)


def _zero_pad2d(node: Node, inputs: list[Tensor]) -> Values:
    top, bottom, left, right = node.attributes["pads"]
    return exact(F.pad(inputs[0], (left, right, top, bottom)))


def _unshuffle(node: Node, inputs: list[Tensor]) -> Values:
    (h, w), x = node.attributes["block"], inputs[0]
    n, c, height, width = x.shape
    blocks = x.reshape(n, c, height // h, h, width // w, w).permute(0, 1, 3, 5, 2, 4)
    return exact(blocks.reshape(n, c * h * w, height // h, width // w))


def _shuffle(node: Node, inputs: list[Tensor]) -> Values:
    (h, w), x = node.attributes["block"], inputs[0]
    n, c, height, width = x.shape
    blocks = x.reshape(n, c // (h * w), h, w, height, width).permute(0, 1, 4, 2, 5, 3)
    return exact(blocks.reshape(n, c // (h * w), height * h, width * w))


def _channel_shuffle(node: Node, inputs: list[Tensor]) -> Values:
    axis, (groups_in, groups_out) = node.attributes["axis"] + 1, node.attributes["groups"]
    parts = inputs[0].unflatten(axis, (groups_in, groups_out, -1))
    return exact(parts.transpose(axis, axis + 1).flatten(axis, axis + 2))


def _center(node: Node, inputs: list[Tensor]) -> Values:
    x = inputs[0]
    axes = [a + 1 for a in node.attributes["axes"]]
    y = x - x.mean(axes, keepdim=True)
    # The mean of n entries is off by gamma_n of the mean size, which, n times over, is no longer than x.
    error = sample_norms(x) * gamma(math.prod(x.shape[a] for a in axes) + 8)
    if "bias" not in node.tensors:
        return y, error
    shifted, last = rounded(y + _per_channel(node, "bias", x), 1)
    return shifted, error + last


def _per_channel(node: Node, role: str, like: Tensor) -> Tensor:
    return stored(node, role, like).reshape(-1, *[1] * (like.dim() - 2))


def _normalize(node: Node, inputs: list[Tensor]) -> Values:
    x = inputs[0]
    return rounded((x - _per_channel(node, "mean", x)) / _per_channel(node, "std", x), 2)


def _batch_norm(node: Node, inputs: list[Tensor]) -> Values:
    x = inputs[0]
    spread = (_per_channel(node, "variance", x) + node.attributes["eps"]).sqrt()
    y = (x - _per_channel(node, "mean", x)) / spread
    if "weight" in node.tensors:
        y = y * _per_channel(node, "weight", x)
    if "bias" not in node.tensors:
        return rounded(y, 6)
    error = sample_norms(y) * gamma(8)
    shifted, last = rounded(y + _per_channel(node, "bias", x), 1)
    return shifted, error + last


def _add(node: Node, inputs: list[Tensor]) -> Values:
    total = inputs[0]
    for x in inputs[1:]:
        total = total + x
    return rounded(total, 1) if len(inputs) == 2 else _many(total, inputs)


def _many(total: Tensor, inputs: list[Tensor]) -> Values:
    return total, torch.stack([sample_norms(x) for x in inputs]).sum(0) * gamma(len(inputs) + 1)


def _channel_pad(node: Node, inputs: list[Tensor]) -> Values:
    x = inputs[0]
    zeros = x.new_zeros(len(x), node.attributes["channels"] - x.shape[1], *x.shape[2:])
    return exact(torch.cat([x, zeros], 1))


def _slice(node: Node, inputs: list[Tensor]) -> Values:
    a = node.attributes
    return exact(inputs[0].narrow(a["axis"] + 1, a["start"], a["stop"] - a["start"]))


def _concat_residual(node: Node, x: Tensor, error: Tensor) -> Values:
    kept, changed = x.chunk(2, 1)
    image, local = evaluate(_branch(node), changed)
    return torch.cat([kept, image], 1), (error * node.constant + local) * SLACK + TINY


def _l2_norm_residual(node: Node, x: Tensor, error: Tensor) -> Values:
    image, local = evaluate(_branch(node), x)
    y, rounding = rounded(((x.square() + image.square()) / 2).sqrt(), 5)
    return y, (error * node.constant + local + rounding) * SLACK + TINY


def _branch(node: Node) -> Network:
    if node.branch is None:
        raise ValueError(f"node {node.name!r} with op={node.op!r} must have a branch")
    return node.branch


_BRANCHES: dict[str, Callable[[Node, Tensor, Tensor], Values]] = {
    "concat_residual": _concat_residual,
    "l2_norm_residual": _l2_norm_residual,
}

_RULES: dict[str, Rule] = ACTIVATIONS | {
    "add": _add,
    "batch_norm": _batch_norm,
    "center": _center,
    "channel_pad": _channel_pad,
    "channel_shuffle": _channel_shuffle,
    "circular_conv_transpose2d": _circular_conv_transpose2d,
    "concatenate": lambda n, v: exact(torch.cat(v, n.attributes["axis"] + 1)),
    "conv1d": _conv1d,
    "conv2d": _conv2d,
    "conv_transpose2d": _conv_transpose2d,
    "frequency_conv2d": _frequency_conv2d,
    "frequency_sandwich2d": _frequency_sandwich2d,
    "gradient_residual1d": _gradient_residual1d,
    "gradient_residual2d": _gradient_residual2d,
    "linear": _linear,
    "normalize": _normalize,
    "permute": lambda n, v: exact(v[0].permute(0, *[a + 1 for a in n.attributes["axes"]])),
    "pixel_shuffle": _shuffle,
    "pixel_unshuffle": _unshuffle,
    "reshape": lambda n, v: exact(v[0].reshape(len(v[0]), *n.attributes["shape"])),
    "sandwich1d": _sandwich1d,
    "scale": lambda n, v: rounded(v[0] * n.attributes["factor"], 1),
    "shift": lambda n, v: rounded(v[0] + stored(n, "value", v[0]), 1),
    "skew_series2d": _skew_series2d,
    "slice": _slice,
    "subtract": lambda n, v: rounded(v[0] - v[1], 1),
    "window_max": window_max,
    "window_norm": window_norm,
    "window_sum": window_sum,
    "zero_pad2d": _zero_pad2d,
}

OPERATIONS = tuple(sorted({*_RULES, *_BRANCHES}))
"""Names of all operations that a frozen network can have."""


def evaluate_nodes(network: Network, images: Tensor) -> dict[str, Values]:
    """Run a batch through a frozen network and keep every value.

    Args:
        network: The network.
        images: `(N, ...)` float64; its samples are exact.

    Returns:
        For the input and each node, the values and the bound of their error, as from `evaluate`.
    """
    values: dict[str, Values] = {INPUT: exact(images)}
    with torch.no_grad(), torch.backends.cudnn.flags(enabled=False):
        for node in network.nodes:
            values[node.name] = _step(node, [values[name] for name in node.inputs])
    return values


def apply_operation(node: Node, inputs: list[Tensor]) -> Tensor:
    """Compute one operation, which must not be a skip connection.

    Args:
        node: The operation with its stored numbers.
        inputs: `(N, ...)` float64 each.

    Returns:
        Its value, differentiable in the inputs.
    """
    return _RULES[node.op](node, inputs)[0]
