"""Distances and logits without rounding, to judge what an attack on a certificate has found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from onelip.attacks.ball import Norm
from onelip.certify.forward import evaluate
from onelip.certify.records import INPUT, Network, Node

PRECISION = 4096
"""Bits of the numbers: sums of products of a few dozen layers of float64 numbers of very different sizes are exact."""

MOST_ENTRIES = 4_000_000
"""Entries of the dense matrix of a layer, above which it is not written out."""

Entries = npt.NDArray[np.object_]
Shape = tuple[int, ...]


class NotExactlyComputableError(ValueError):
    """A network has an operation that is not computed without rounding here.

    Args:
        node: The node.
    """

    def __init__(self, node: Node) -> None:
        super().__init__(
            f"op={node.op!r} of node {node.name!r} is not computed exactly; these are: {', '.join(sorted(_RULES))}"
        )


def is_inside(point: Tensor, origin: Tensor, radius: float, norm: Norm) -> bool:
    """Compare a distance with a radius in rational arithmetic.

    Args:
        point: Of any shape, finite.
        origin: Of the same shape.
        radius: A number >= 0.
        norm: Norm of the distance.

    Returns:
        Is |point - origin| <= radius?
    """
    pairs = zip(point.double().flatten().tolist(), origin.double().flatten().tolist(), strict=True)
    offsets = [Fraction(a) - Fraction(b) for a, b in pairs if a != b]
    if norm == "linf":
        return max(map(abs, offsets), default=Fraction(0)) <= Fraction(radius)
    return sum((d * d for d in offsets), Fraction(0)) <= Fraction(radius) ** 2


class ExactNetwork:
    """Logits of a frozen network with numbers of 4096 bits, for networks of a few thousand numbers.

    Args:
        network: A frozen network.

    Raises:
        NotExactlyComputableError: If it has another operation than those known here.
    """

    def __init__(self, network: Network) -> None:
        import mpmath

        for node in network.nodes:
            if node.op not in _RULES:
                raise NotExactlyComputableError(node)
        self._network = network
        self._context = mpmath.MPContext()
        self._context.prec = PRECISION
        self._matrices: dict[str, tuple[Entries, Shape]] = {}

    def margin(self, point: Tensor, label: int) -> float:
        """Find the lead of a label over the best other class.

        Args:
            point: One sample, finite, taken as it is.
            label: The label.

        Returns:
            z_label - max_{j != label} z_j, rounded at the very end, of the sign of the exact one.
        """
        logits = self.logits(point)
        lead = min(logits[label] - z for j, z in enumerate(logits) if j != label)
        size = float(lead)
        # What underflows keeps its sign.
        return size if size or not lead else float(np.copysign(5e-324, 1 if lead > 0 else -1))

    def logits(self, point: Tensor) -> Entries:
        """Evaluate one sample.

        Args:
            point: The sample, finite.

        Returns:
            The logits, numbers of mpmath.
        """
        values = {INPUT: self.numbers(point)}
        for node in self._network.nodes:
            values[node.name] = _RULES[node.op](self, node, [values[name] for name in node.inputs])
        return values[self._network.output]

    def numbers(self, values: Any) -> Entries:
        """Take float64 numbers as they are.

        Args:
            values: A tensor, or what makes one.

        Returns:
            An array of its shape.
        """
        floats = torch.as_tensor(values, dtype=torch.float64).detach().cpu().numpy()
        return np.asarray(np.frompyfunc(self._context.mpf, 1, 1)(floats), dtype=object)

    def stored(self, node: Node, role: str, like: Entries) -> Entries:
        """Take stored numbers, one for each channel.

        Args:
            node: The node that has them.
            role: Their name.
            like: Values with channels in front.

        Returns:
            An array that broadcasts against them.
        """
        return self.numbers(node.tensors[role]).reshape(-1, *[1] * (like.ndim - 1))

    def times(self, node: Node, x: Entries) -> Entries:
        """Multiply by the matrix of a linear node, without its bias.

        Args:
            node: The node.
            x: One sample.

        Returns:
            The product.
        """
        rows, shape = self._rows(node, x.shape)
        return _products(rows, x.reshape(-1), self._context.mpf(0)).reshape(shape)

    def times_transposed(self, node: Node, x: Entries, shape: Shape) -> Entries:
        """Multiply by the transpose of the matrix of a linear node.

        Args:
            node: The node.
            x: What has the shape of its output.
            shape: Shape of its input.

        Returns:
            The product, of that shape.
        """
        rows, _ = self._rows(node, shape)
        return _products(rows.T, x.reshape(-1), self._context.mpf(0)).reshape(shape)

    def root(self, x: Entries) -> Entries:
        """Take roots, the only step that rounds.

        Args:
            x: Numbers >= 0.

        Returns:
            Their roots, within a relative 2^-4095.
        """
        return np.asarray(np.frompyfunc(self._context.sqrt, 1, 1)(x), dtype=object)

    def _rows(self, node: Node, shape: Shape) -> tuple[Entries, Shape]:
        if node.name not in self._matrices:
            matrix, after = dense_matrix(node, shape)
            self._matrices[node.name] = self.numbers(matrix), after
        return self._matrices[node.name]


def _products(rows: Entries, x: Entries, zero: Any) -> Entries:
    return np.array([sum((row[i] * x[i] for i in np.flatnonzero(row)), zero) for row in rows], dtype=object)


def dense_matrix(node: Node, shape: Shape) -> tuple[Tensor, Shape]:
    """Write out the matrix of a linear node, whose entries are its weights.

    Args:
        node: Its weights meet each pair of an input and an output at most once.
        shape: Shape of one input.

    Returns:
        `(outputs, inputs)` float64 without the bias, and the shape of an output.

    Raises:
        ValueError: If an entry would be a sum of weights, or there are too many entries.
    """
    if node.op == "conv2d" and node.attributes["padding_mode"] != "zeros":
        axes = zip(node.attributes["dilation"], node.tensors["weight"].shape[2:], shape[1:], strict=True)
        wraps = any(dilation * (kernel - 1) >= side for dilation, kernel, side in axes)
        if wraps or node.attributes["padding_mode"] != "circular":
            raise ValueError(f"the kernel of node {node.name!r} meets a pixel twice in an image of shape {shape}")
    size = int(np.prod(shape))
    bare = replace(node, inputs=(INPUT,), tensors={k: v for k, v in node.tensors.items() if k != "bias"})
    if size * size > MOST_ENTRIES:
        raise ValueError(f"node {node.name!r} has {size} inputs, too many for a dense matrix")
    columns, _ = evaluate(Network(shape, (bare,), node.name), torch.eye(size, dtype=torch.float64).reshape(-1, *shape))
    return columns.flatten(1).T, tuple(columns.shape[1:])


Rule = Callable[[ExactNetwork, Node, list[Entries]], Entries]


def _affine(net: ExactNetwork, node: Node, inputs: list[Entries]) -> Entries:
    y = net.times(node, inputs[0])
    if "bias" not in node.tensors:
        return y
    return y + (net.numbers(node.tensors["bias"]) if node.op == "linear" else net.stored(node, "bias", y))


def _gradient_residual(net: ExactNetwork, node: Node, inputs: list[Entries]) -> Entries:
    x, images = inputs[0], node.op == "gradient_residual2d"
    attributes = node.attributes | {"stride": [1, 1]} if images else node.attributes
    linear = replace(node, op="conv2d" if images else "linear", attributes=attributes)
    hidden = _relu(net, node, [_affine(net, linear, [x])])
    return x - 2 * net.times_transposed(linear, hidden, x.shape)


def _relu(net: ExactNetwork, node: Node, inputs: list[Entries]) -> Entries:
    return np.maximum(inputs[0], 0)


def _leaky_relu(net: ExactNetwork, node: Node, inputs: list[Entries]) -> Entries:
    x = inputs[0]
    return np.where(x > 0, x, x * net.numbers(node.attributes["slope"]))


def _maxmin(net: ExactNetwork, node: Node, inputs: list[Entries]) -> Entries:
    axis, x = node.attributes["axis"], inputs[0]
    half = x.shape[axis] // 2
    first, second, rest = np.split(x, [half, 2 * half], axis)
    return np.concatenate([np.maximum(first, second), np.minimum(first, second), rest], axis)


def _normalize(net: ExactNetwork, node: Node, inputs: list[Entries]) -> Entries:
    x = inputs[0]
    return (x - net.stored(node, "mean", x)) / net.stored(node, "std", x)


def _batch_norm(net: ExactNetwork, node: Node, inputs: list[Entries]) -> Entries:
    x = inputs[0]
    spread = net.root(net.stored(node, "variance", x) + net.numbers(node.attributes["eps"]))
    y = (x - net.stored(node, "mean", x)) / spread
    y = y * net.stored(node, "weight", x) if "weight" in node.tensors else y
    return y + net.stored(node, "bias", x) if "bias" in node.tensors else y


def _slice(net: ExactNetwork, node: Node, inputs: list[Entries]) -> Entries:
    a = node.attributes
    return np.take(inputs[0], range(a["start"], a["stop"]), a["axis"])


_RULES: dict[str, Rule] = {
    "abs": lambda net, node, v: np.abs(v[0]),
    "add": lambda net, node, v: sum(v[1:], v[0]),
    "batch_norm": _batch_norm,
    "conv2d": _affine,
    "gradient_residual1d": _gradient_residual,
    "gradient_residual2d": _gradient_residual,
    "leaky_relu": _leaky_relu,
    "linear": _affine,
    "maxmin": _maxmin,
    "normalize": _normalize,
    "relu": _relu,
    "reshape": lambda net, node, v: v[0].reshape(node.attributes["shape"]),
    "scale": lambda net, node, v: v[0] * net.numbers(node.attributes["factor"]),
    "shift": lambda net, node, v: v[0] + net.numbers(node.tensors["value"]),
    "slice": _slice,
    "subtract": lambda net, node, v: v[0] - v[1],
}
