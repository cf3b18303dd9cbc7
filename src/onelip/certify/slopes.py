"""How fast the rounding error of each operation grows when its input moves, as a number for all samples.

The error that one operation adds to computed inputs x^ is bounded by a ||x^|| + b ||y^|| + c, with numbers a, b and c
that depend on the stored weights alone. Where x^ moves by d, the image moves by the operation's constant k times d, so
the bound grows by at most (a + b k) d: the slope s = a + b k. Products of two roundings, such as that of b with the
error in y^, are below 1e-10 of the rest and are covered by the factor 1 + 1e-9 that every bound is multiplied by.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch

from onelip.certify.elementwise_forward import FUNCTIONS, softmax_slope
from onelip.certify.elementwise_forward import Slope as Stated
from onelip.certify.frequency import frequency_error
from onelip.certify.records import Node
from onelip.certify.values import SLACK, absolute_norm
from onelip.linalg import gamma, sqrt_up

Shape = tuple[int, ...]
Slope = Callable[[Node, Shape], float]
"""From an operation and the shape of its first input for one sample to the slope, without that of a branch."""

SECOND_ORDER = 1e-10
"""Largest share of products of roundings that is covered by the slack."""

LONGEST_ROW = 2**13
"""Entries of a row of a series' kernel up to which products of roundings are below `SECOND_ORDER` twice."""


def rounding_slope(node: Node, shape: Shape, branch: float = 0.0) -> float:
    """Bound by how much an operation's own rounding error grows for each unit that its computed input moves.

    Args:
        node: The operation.
        shape: Shape of its first input for one sample.
        branch: The same for the whole network inside of a skip connection.

    Returns:
        The slope, rounded up; infinite if it is not known to be finite.

    Raises:
        ValueError: If the operation is not in the table.
    """
    rule = SLOPES.get(node.op)
    if rule is None:
        raise ValueError(
            f"semantics='executed-float64' in certify does not know how the rounding of {node.op!r} at {node.name!r} "
            f"grows; use semantics='real'"
        )
    return (rule(node, shape) + branch) * SLACK


def _exact(node: Node, shape: Shape) -> float:
    return 0.0


def _relative(roundings: int) -> Slope:
    # Errors relative to the result, which moves by the constant.
    return lambda node, shape: node.constant * gamma(roundings)


def _copies(node: Node) -> float:
    # A pixel and each padded one may be copies of the same pixel.
    if node.attributes.get("padding_mode", "zeros") == "zeros":
        return 1.0
    pads = node.attributes["pads"]
    return math.prod(1.0 + before + after for before, after in zip(pads[::2], pads[1::2], strict=True))


def _correlation(node: Node, shape: Shape) -> float:
    weight = node.tensors["weight"].double()
    return math.sqrt(_copies(node)) * SLACK * absolute_norm(weight) * gamma(weight[0].numel() + 3)


def _transposed(node: Node, shape: Shape) -> float:
    weight = node.tensors["weight"].double()
    terms = len(weight) // node.attributes["groups"] * weight[0, 0].numel()
    return absolute_norm(weight) * gamma(terms + 3)


def _two_products(node: Node, shape: Shape) -> float:
    weight = node.tensors["weight"].double()
    terms = max(weight.shape[:2]) * weight[0, 0].numel() + 3
    return 4 * absolute_norm(weight) ** 2 * gamma(terms) * SLACK + (1 + node.constant) * gamma(4)


def _series(node: Node, shape: Shape) -> float:
    # Horner's rule: how far each intermediate result and its error move with the input.
    weight, a = node.tensors["weight"].double(), node.attributes
    entries, norm = weight[0].numel(), a["norm"]
    if entries > LONGEST_ROW:
        return math.inf
    product = absolute_norm(weight) * gamma(entries + 3)
    moved = abs(a["coefficients"][-1])
    slope = moved * gamma(2)
    for coefficient in reversed(a["coefficients"][:-1]):
        local = moved * product + abs(coefficient) * gamma(4)
        moved = (moved * norm + abs(coefficient)) * SLACK
        slope = (slope * norm + local + moved * gamma(4)) * SLACK
    return slope + moved * gamma(2)


def _relative_to_input(node: Node, role: str, shape: Shape, own: float) -> float:
    spectrum = torch.view_as_complex(node.tensors[role].double().contiguous())
    largest = float(torch.linalg.matrix_norm(spectrum).max()) * SLACK
    terms = spectrum.shape[-1] if role == "spectrum" else max(spectrum.shape[-2:])
    return frequency_error((shape[-2], shape[-1]), largest, own, terms)


def _frequency(node: Node, shape: Shape) -> float:
    return _relative_to_input(node, "spectrum", shape, node.constant) + node.constant * gamma(4)


def _frequency_sandwich(node: Node, shape: Shape) -> float:
    own = math.sqrt(node.constant) * SLACK
    relative = _relative_to_input(node, "weight", shape, own)
    if not relative <= SECOND_ORDER * own:
        return math.inf if own > 0 else 0.0
    return 2 * own * (2 * relative + own * gamma(4)) * SLACK + node.constant * gamma(4)


def _center(node: Node, shape: Shape) -> float:
    return gamma(math.prod(shape[a] for a in node.attributes["axes"]) + 8) + gamma(2)


def _put(node: Node, shape: Shape) -> float:
    index = node.tensors["index"].long()
    kept = index[index >= 0]
    most = int(torch.bincount(kept).max()) if len(kept) else 0
    return gamma(most + 1) * sqrt_up(float(most))


def _matrices(node: Node, shape: Shape) -> float:
    stored = [node.tensors[f"matrix{k}"].double() for k in range(len(node.attributes["axes"]))]
    size = math.prod(absolute_norm(matrix) * SLACK for matrix in stored)
    return size * gamma(2 + sum(matrix.shape[1] + 1 for matrix in stored))


def _stated(stated: Stated, node: Node) -> float:
    # a ||x^|| + b ||y^|| + c, where c does not grow.
    if gamma(stated.of_output) > SECOND_ORDER:
        return math.inf
    return gamma(stated.of_input) + node.constant * gamma(stated.of_output)


def _function(node: Node, shape: Shape) -> float:
    return _stated(FUNCTIONS[node.op][1](node.attributes), node)


def _softmax(node: Node, shape: Shape) -> float:
    return _stated(softmax_slope(shape[node.attributes["axis"]]), node)


def _window_norm(node: Node, shape: Shape) -> float:
    return node.constant * gamma(shape[-1] + shape[-2] + 5)


SLOPES: dict[str, Slope] = dict.fromkeys(FUNCTIONS, _function) | {
    "abs": _exact,
    "add": lambda node, shape: gamma(len(node.inputs) + 1),
    "batch_norm": _relative(10),
    "beta_abs": _exact,
    "center": _center,
    "channel_pad": _exact,
    "channel_shuffle": _exact,
    "circular_conv_transpose2d": _transposed,
    "concat_residual": _exact,
    "concatenate": _exact,
    "conv1d": _correlation,
    "conv2d": _correlation,
    "conv3d": _correlation,
    "conv_transpose1d": _transposed,
    "conv_transpose2d": _transposed,
    "conv_transpose3d": _transposed,
    "divide": _relative(2),
    "frequency_conv2d": _frequency,
    "frequency_sandwich2d": _frequency_sandwich,
    "gather": _exact,
    "gradient_residual1d": _two_products,
    "gradient_residual2d": _two_products,
    "group_sort": _exact,
    "householder": lambda node, shape: gamma(64),
    "householder2": lambda node, shape: gamma(256),
    "l2_norm_residual": _relative(6),
    "leaky_relu": _relative(2),
    "linear": _correlation,
    "log_softmax": _softmax,
    "matrices": _matrices,
    "max_windows": _exact,
    "maximum": _exact,
    "maxmin": _exact,
    "maxout": _exact,
    "minimum": _exact,
    "multiply": _relative(2),
    "n_activation": _relative(2),
    "normalize": _relative(3),
    "permute": _exact,
    "pixel_shuffle": _exact,
    "pixel_unshuffle": _exact,
    "prelu": _relative(2),
    "put": _put,
    "relu": _exact,
    "reshape": _exact,
    "sandwich1d": _two_products,
    "scale": _relative(2),
    "shift": _relative(2),
    "skew_series2d": _series,
    "slice": _exact,
    "soft_huber": _relative(9),
    "softmax": _softmax,
    "subtract": lambda node, shape: gamma(len(node.inputs) + 1),
    "take": _exact,
    "window_norm": _window_norm,
    "zero_pad2d": _exact,
}
"""The slope of every operation that a frozen network can have."""
