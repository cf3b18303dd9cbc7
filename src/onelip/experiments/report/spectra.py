"""Singular values of a frozen network's affine layers, for pictures; what is proved is in the certificate."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from onelip.bounds import LayerBound
from onelip.certify.records import Network, Node
from onelip.experiments.report.numbers import shape_text
from onelip.linalg.convolution import conv_singular_values

LARGEST_SIDE = 1024
"""Of a matrix whose shorter side is longer, only so many evenly spread rows or columns are decomposed."""

WORK = 2e8
"""Limit of (matrices) x (sides of a matrix) x (shorter side) for one convolution, about a second."""


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Singular values of one layer.

    Attributes:
        values: Float64 in descending order.
        partial: What part of the layer they belong to, or empty for all of it.
    """

    values: Tensor
    partial: str = ""

    @property
    def largest(self) -> float:
        """The largest singular value."""
        return float(self.values[0])

    @property
    def smallest(self) -> float:
        """The smallest singular value."""
        return float(self.values[-1])


def layer_spectra(network: Network, layers: Sequence[LayerBound]) -> dict[str, Spectrum]:
    """Decompose the affine layers of a frozen network.

    Args:
        network: Its nodes, with the weights.
        layers: The audit of its constant, with the shapes.

    Returns:
        Spectrum by name in the audit.
    """
    nodes = {node.name: node for node in network.nodes}
    found = {}
    for layer in layers:
        node = nodes.get(node_name(layer.name))
        if node is not None and node.op in _SPECTRA and bool(torch.isfinite(node.tensors["weight"]).all()):
            found[layer.name] = _SPECTRA[node.op](node, layer)
    return found


def node_name(module_name: str) -> str:
    """Find the node of a module.

    Args:
        module_name: Its path in the network.

    Returns:
        The name that torch.fx gives to the node of its first call.
    """
    name = module_name.replace(".", "_")
    return f"_{name}" if name[:1].isdigit() else name


def matrix_spectrum(weight: Tensor) -> Spectrum:
    """Decompose a matrix.

    Args:
        weight: `(m, n)`; only `LARGEST_SIDE` rows or columns of it are used if both sides are longer.

    Returns:
        Its singular values.
    """
    matrix = weight.detach().cpu().double()
    wide = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.mT
    side, partial = len(wide), ""
    if side > LARGEST_SIDE:
        wide = wide[torch.arange(LARGEST_SIDE) * side // LARGEST_SIDE]
        partial = f"of {LARGEST_SIDE} of its {side} {'rows' if wide.shape[1] == weight.shape[1] else 'columns'}"
    return Spectrum(torch.linalg.svdvals(wide), partial)


def conv_spectrum(
    kernel: Tensor, image_size: tuple[int, int], stride: tuple[int, int], dilation: tuple[int, int], groups: int
) -> Spectrum:
    """Decompose a circular convolution at one image size.

    The frequencies of an image n / k pixels wide are a k-th of those of an image n pixels wide, so that of a costly
    layer a smaller image gives true singular values, only fewer.

    Args:
        kernel: `(out, in/groups, kh, kw)`.
        image_size: Height and width of its input; rounded up to multiples of the stride.
        stride: (s_h, s_w).
        dilation: (d_h, d_w).
        groups: Number of groups.

    Returns:
        Its singular values.
    """
    outputs = [-(-n // s) for n, s in zip(image_size, stride, strict=True)]
    rows = kernel.shape[0] // groups
    columns = kernel.shape[1] * stride[0] * stride[1]
    allowed = WORK / (groups * rows * columns * min(rows, columns))
    grid = list(outputs)
    while grid[0] * (grid[1] // 2 + 1) > allowed and max(grid) > 1:
        axis = 0 if grid[0] >= grid[1] else 1
        grid[axis] = max(d for d in range(1, grid[axis]) if outputs[axis] % d == 0)
    partial = "" if grid == outputs else f"at {shape_text(tuple(grid))} of its {shape_text(tuple(outputs))} frequencies"
    size = grid[0] * stride[0], grid[1] * stride[1]
    values = conv_singular_values(kernel.detach().cpu(), size, stride=stride, dilation=dilation, groups=groups)
    return Spectrum(values, partial)


def _linear(node: Node, layer: LayerBound) -> Spectrum:
    return matrix_spectrum(node.tensors["weight"])


def _conv2d(node: Node, layer: LayerBound) -> Spectrum:
    return _conv_spectrum(node, layer.input_shape)


# The adjoint has the singular values of the convolution from its output to its input.
def _conv_transpose2d(node: Node, layer: LayerBound) -> Spectrum:
    return _conv_spectrum(node, layer.output_shape)


def _conv_spectrum(node: Node, shape: tuple[int, ...]) -> Spectrum:
    a = node.attributes
    stride, dilation = (a["stride"][0], a["stride"][1]), (a["dilation"][0], a["dilation"][1])
    return conv_spectrum(node.tensors["weight"], (shape[-2], shape[-1]), stride, dilation, a["groups"])


_SPECTRA: dict[str, Callable[[Node, LayerBound], Spectrum]] = {
    "linear": _linear,
    "conv2d": _conv2d,
    "conv_transpose2d": _conv_transpose2d,
    "circular_conv_transpose2d": _conv_transpose2d,
}
