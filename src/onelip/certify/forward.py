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

import torch
import torch.nn.functional as F
from torch import Tensor

from onelip.certify.activation_forward import ACTIVATIONS
from onelip.certify.affine_forward import AFFINE
from onelip.certify.copies_forward import COPIES
from onelip.certify.elementwise_forward import ELEMENTWISE, SOFTMAX
from onelip.certify.records import INPUT, Network, Node
from onelip.certify.values import SLACK, TINY, Rule, Values, exact, root, rounded, sample_norms, stored
from onelip.certify.window_forward import WINDOWS
from onelip.linalg import gamma

Watch = Callable[[Node, Values], None]
"""Sees each node and its values."""


def evaluate(network: Network, images: Tensor, watch: Watch | None = None) -> Values:
    """Run a batch through a frozen network.

    Args:
        network: The network.
        images: `(N, ...)` float64, exact; float32 makes it compute in float32, without a bound of the error.
            Gradients flow to images that require them.
        watch: Called with each node and its values, those inside of branches left out.

    Returns:
        The output, `(N, ...)` of the type of `images`, and a proved bound `(N,)` of the l2 distance of each sample's
        output from that in real arithmetic; infinite or NaN if the output is, or if it was not computed in float64.
    """
    known = 0.0 if images.dtype == torch.float64 else math.inf
    start = images, torch.full((len(images),), known, dtype=torch.float64, device=images.device)
    values: dict[str, Values] = {INPUT: start}
    last = {name: i for i, node in enumerate(network.nodes) for name in node.inputs}
    with torch.set_grad_enabled(images.requires_grad), torch.backends.cudnn.flags(enabled=False):
        for i, node in enumerate(network.nodes):
            values[node.name] = _step(node, [values[name] for name in node.inputs])
            if watch is not None:
                watch(node, values[node.name])
            for name in node.inputs:
                if last[name] == i and name != network.output:
                    values.pop(name, None)
    return values[network.output]


def output_shape(node: Node, shapes: list[tuple[int, ...]]) -> tuple[int, ...]:
    """Find the shape that an operation gives.

    Args:
        node: The operation.
        shapes: Shape of one sample of each input.

    Returns:
        Shape of one sample of the output.
    """
    values = [torch.zeros(1, *shape, dtype=torch.float64) for shape in shapes]
    with torch.no_grad():
        return tuple(_RULES[node.op](node, values)[0].shape[1:])


def prepare(network: Network, device: torch.device) -> Network:
    """Convert the stored numbers once, for many batches.

    Args:
        network: The network.
        device: Where it is to be evaluated.

    Returns:
        The same network, with float64 numbers on the device.
    """
    nodes = []
    for node in network.nodes:
        tensors = {role: tensor.to(device, torch.float64) for role, tensor in node.tensors.items()}
        branch = None if node.branch is None else prepare(node.branch, device)
        nodes.append(replace(node, tensors=tensors, branch=branch))
    return replace(network, nodes=tuple(nodes))


def _step(node: Node, inputs: list[Values]) -> Values:
    computed = [x for x, _ in inputs]
    if node.branch is not None:
        return _BRANCHES[node.op](node, *inputs[0])
    output, local = _RULES[node.op](node, computed)
    total = torch.stack([error for _, error in inputs]).sum(0)
    carried = total * node.constant if len(inputs) == 1 else total
    return output, (carried + local) * SLACK + TINY


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
    factor = 1 / (_per_channel(node, "variance", x) + node.attributes["eps"]).sqrt()
    if "weight" in node.tensors:
        factor = factor * _per_channel(node, "weight", x)
    mean = _per_channel(node, "mean", x)
    y = (x - mean) * factor
    constants = torch.linalg.vector_norm(mean * factor)
    if "bias" in node.tensors:
        bias = _per_channel(node, "bias", x)
        y, constants = y + bias, constants + torch.linalg.vector_norm(bias)
    # At most eight roundings of x f, mean f and the bias, also if it is computed as x f + (bias - mean f).
    pixels = math.sqrt(x[0, 0].numel())
    return y, (sample_norms(x) * node.constant + constants * pixels) * (gamma(10) * SLACK)


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
    y, rounding = rounded(root((x.square() + image.square()) / 2), 5)
    return y, (error * node.constant + local + rounding) * SLACK + TINY


def _branch(node: Node) -> Network:
    if node.branch is None:
        raise ValueError(f"node {node.name!r} with op={node.op!r} must have a branch")
    return node.branch


_BRANCHES: dict[str, Callable[[Node, Tensor, Tensor], Values]] = {
    "concat_residual": _concat_residual,
    "l2_norm_residual": _l2_norm_residual,
}

_RULES: dict[str, Rule] = (
    ACTIVATIONS
    | AFFINE
    | COPIES
    | ELEMENTWISE
    | SOFTMAX
    | WINDOWS
    | {
        "add": _add,
        "batch_norm": _batch_norm,
        "center": _center,
        "channel_pad": _channel_pad,
        "channel_shuffle": _channel_shuffle,
        "concatenate": lambda n, v: exact(torch.cat(v, n.attributes["axis"] + 1)),
        "divide": lambda n, v: rounded(v[0] / stored(n, "value", v[0]), 1),
        "maximum": lambda n, v: exact(torch.maximum(v[0], v[1])),
        "minimum": lambda n, v: exact(torch.minimum(v[0], v[1])),
        "multiply": lambda n, v: rounded(v[0] * stored(n, "value", v[0]), 1),
        "normalize": _normalize,
        "permute": lambda n, v: exact(v[0].permute(0, *[a + 1 for a in n.attributes["axes"]])),
        "pixel_shuffle": _shuffle,
        "pixel_unshuffle": _unshuffle,
        "reshape": lambda n, v: exact(v[0].reshape(len(v[0]), *n.attributes["shape"])),
        "scale": lambda n, v: rounded(v[0] * n.attributes["factor"], 1),
        "shift": lambda n, v: rounded(v[0] + stored(n, "value", v[0]), 1),
        "slice": _slice,
        "subtract": lambda n, v: rounded(v[0] - v[1], 1),
        "zero_pad2d": _zero_pad2d,
    }
)

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
