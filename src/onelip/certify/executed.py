"""What rounding can do anywhere in a ball: the terms that certificates of the executed float64 network add.

Let x'^ be what any float64 evaluation computes at an input x' within r of the sample, E(x') a bound of its distance
from the real-arithmetic value, and e that of the evaluation at the sample. For one operation with constant k, local
error l at the sample and slope s (see `slopes`),
    E_out(x') <= k E_in(x') + l + s (L_in r + E_in(x') + e_in),
since its computed input is within L_in r + E_in(x') + e_in of the one at the sample. So E(x') <= e0 + e1 r with
    e0_out = (k + 2 s) e0_in + l,     e1_out = (k + s) e1_in + s L_in:
e0 is the error that `evaluate` carries if every constant k is replaced by k + 2 s, and e1 is one number per network.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from onelip.bounds.registry import Norm
from onelip.certify.forward import evaluate
from onelip.certify.limits import LARGEST_SERIES_NORM, LARGEST_STORED
from onelip.certify.records import INPUT, Network, Node
from onelip.certify.slopes import Shape, rounding_slope
from onelip.certify.values import SLACK, Values, sample_norms
from onelip.linalg import multiply_up

REACH = 2.0**100
"""Largest norm of a sample, with room for the largest radius, for which no number in the network overflows."""

LARGEST_VALUE = 2.0**500
"""Bound of all computed numbers: their squares do not overflow."""

MARGIN = 1.01
"""Factor on e1, so that a checker with looser slopes still confirms the radii."""


@dataclass(frozen=True, eq=False)
class Growth:
    """How rounding errors grow with the radius.

    Attributes:
        network: The network with every constant k replaced by k + 2 s, for `evaluate` to carry e0 along.
        lipschitz: Proved constant from the input to each node, `INPUT` included.
        errors: e1 of each node, `INPUT` included.
        slopes: s of each node.
        branches: The same for the networks inside of skip connections.
    """

    network: Network
    lipschitz: dict[str, float]
    errors: dict[str, float]
    slopes: dict[str, float]
    branches: dict[str, Growth]

    @property
    def value(self) -> float:
        """e1 of the network's output: error per unit of l2 radius."""
        return self.errors[self.network.output]


def growth_of(network: Network) -> Growth:
    """Find how rounding errors in a network grow.

    Args:
        network: A frozen network.

    Returns:
        Its growth, rounded up; e1 is infinite where computed numbers might overflow.

    Raises:
        ValueError: If the slope of an operation is not known.
    """
    growth = _grow(network)
    if stays_in_range(growth, 2 * REACH):
        return growth
    return replace(growth, errors=growth.errors | {network.output: math.inf})


def error_growth(growth: Growth, norm: Norm) -> float:
    """Bound how fast the error of computed logits grows with the radius.

    Args:
        growth: Of the network.
        norm: "l2" or "linf", in which the radius is measured.

    Returns:
        e1, rounded up; times the root of the number of pixels for a radius in l_inf, since the ball is in one of l2
        that is as much larger.
    """
    stretch = math.sqrt(math.prod(growth.network.input_shape)) if norm == "linf" else 1.0
    return growth.value * MARGIN * stretch * SLACK


def executed_errors(errors: Tensor, images: Tensor) -> Tensor:
    """Turn e0 into what `class_radii` is to take off the margins for an executed network.

    Class j cannot overtake t while z_t - z_j - 2 e - s_tj r - 2 (e0 + e1 r) > 0, where e <= e0.

    Args:
        errors: `(N,)` e0 of each sample.
        images: `(N, ...)` the samples.

    Returns:
        `(N,)`: it takes off four of them, where the real function needs two; six leave a checker as much room.
    """
    in_reach = sample_norms(images.double()) <= REACH
    return torch.where(in_reach.to(errors.device), 1.5 * errors * SLACK, math.inf)


def _grow(network: Network) -> Growth:
    shapes: dict[str, Shape] = {INPUT: network.input_shape}

    def watch(node: Node, values: Values) -> None:
        shapes[node.name] = tuple(values[0].shape[1:])

    _at_zero(network, watch)
    growth = Growth(network, {INPUT: 1.0}, {INPUT: 0.0}, {}, {})
    enlarged = []
    for node in network.nodes:
        if node.branch is not None:
            growth.branches[node.name] = _grow(node.branch)
        enlarged.append(_enlarged(growth, node, shapes[node.inputs[0]]))
    return replace(growth, network=replace(network, nodes=tuple(enlarged)))


def _enlarged(growth: Growth, node: Node, shape: Shape) -> Node:
    branch = growth.branches.get(node.name)
    slope = rounding_slope(node, shape, 0.0 if branch is None else branch.value)
    before = [(growth.lipschitz[name], growth.errors[name]) for name in node.inputs]
    # The constant of a node with several inputs is that from the network's input; alone it adds them up.
    own = node.constant if len(before) == 1 else 1.0
    growth.slopes[node.name] = slope
    growth.errors[node.name] = sum((own + slope) * e + slope * k for k, e in before) * SLACK
    growth.lipschitz[node.name] = multiply_up(before[0][0], own) if len(before) == 1 else node.constant
    constant = (own + 2 * slope) * SLACK if slope and len(before) == 1 else node.constant
    return replace(node, constant=constant, branch=None if branch is None else branch.network)


def _at_zero(network: Network, watch: Any) -> None:
    evaluate(network, torch.zeros(1, *network.input_shape, dtype=torch.float64), watch)


def stays_in_range(growth: Growth, reach: float) -> bool:
    """Say whether all numbers that an evaluation can compute are below `LARGEST_VALUE`.

    A computed value is at most its norm at the input 0, plus the errors there and at x', plus L ||x'||. What is summed
    up inside of an operation is at most 2^53 times the bound of its rounding error.

    Args:
        growth: Of the network.
        reach: Largest norm of its input.

    Returns:
        True if they are, for all inputs within reach, and stored numbers are neither so large nor so small that
        the bounds would not cover what overflows or underflows.
    """
    norms, errors = {INPUT: 0.0}, {INPUT: 0.0}

    def watch(node: Node, values: Values) -> None:
        norms[node.name], errors[node.name] = float(sample_norms(values[0])), float(values[1])

    _at_zero(growth.network, watch)
    largest = {
        name: norms[name] + 2 * errors[name] + (growth.lipschitz[name] + growth.errors[name]) * reach for name in norms
    }
    for node in growth.network.nodes:
        before = sum(largest[name] for name in node.inputs)
        inside = 2.0**53 * (errors[node.name] + 2 * growth.slopes[node.name] * before)
        if not (largest[node.name] <= LARGEST_VALUE and inside <= LARGEST_VALUE and _moderate(node)):
            return False
        if node.branch is not None and not stays_in_range(growth.branches[node.name], before):
            return False
    return True


def _moderate(node: Node) -> bool:
    stored = [float(t.double().abs().max()) for t in node.tensors.values() if t.numel()]
    if max([*stored, *map(abs, _numbers(node.attributes))], default=0.0) > LARGEST_STORED:
        return False
    return _LIMITS.get(node.op, _always)(node)


def _numbers(value: Any) -> list[float]:
    if isinstance(value, dict):
        return _numbers(list(value.values()))
    if isinstance(value, (list, tuple)):
        return [n for v in value for n in _numbers(v)]
    return [float(value)] if isinstance(value, (int, float)) else []


def _always(node: Node) -> bool:
    return True


_DIVISORS = {"divide": "value", "elu": "width", "normalize": "std", "soft_huber": "delta", "softplus": "beta"}
"""Where the numbers are stored that an operation divides by."""


def _divides_by(node: Node) -> bool:
    role = _DIVISORS.get(node.op)
    if role in node.tensors:
        smallest = float(node.tensors[role].double().abs().min())
    elif role is not None:
        smallest = abs(node.attributes[role])
    else:
        smallest = float((node.tensors["variance"].double() + node.attributes["eps"]).min())
    return bool(smallest * LARGEST_STORED >= 1)


def _short_powers(node: Node) -> bool:
    # Underflow is carried through up to 31 convolutions.
    return bool(node.attributes["norm"] <= LARGEST_SERIES_NORM)


def _small_scales(node: Node) -> bool:
    # Under a root, underflow is as large as 2^-537.
    scales = [*node.attributes["row_scales"], *node.attributes["column_scales"]]
    return max(map(abs, scales)) <= 2.0**8


def _short_products(node: Node) -> bool:
    # What lies between the products along two axes, of which the second may shrink.
    sums = [float(m.double().abs().sum(1).max()) for m in node.tensors.values()]
    return math.prod(max(1.0, total) for total in sums) <= LARGEST_STORED


_LIMITS = {
    "batch_norm": _divides_by,
    "divide": _divides_by,
    "elu": _divides_by,
    "matrices": _short_products,
    "normalize": _divides_by,
    "skew_series2d": _short_powers,
    "soft_huber": _divides_by,
    "softplus": _divides_by,
    "window_norm": _small_scales,
}
