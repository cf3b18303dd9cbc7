"""What a norm is asked of: a convolution with all of its geometry, a matrix, or any affine map."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from onelip.bounds.convolution_rules import Convolution, module_convolution
from onelip.layers import ConstrainedModule
from onelip.layers.plain import evaluating
from onelip.linalg import polyphase
from onelip.spectral.affine_map import Function

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)


class NotApplicableError(ValueError):
    """A method of estimating norms makes no claim about a layer as it is."""


@dataclass(frozen=True, eq=False)
class Problem:
    """An affine map whose norm is wanted.

    Attributes:
        name: What it is, for messages.
        function: The map of batches; a convolution or matrix without bias, in float64.
        input_shape: Shape of one input, if known.
        matrix: `(out, in)` float64, if it is a matrix.
        convolution: If it is a convolution, of float64; its `sizes` are empty if the size is not known. One of signals
            is one of images of height 1.
        layer: The module, if it was one.
    """

    name: str
    function: Function
    input_shape: tuple[int, ...] | None
    matrix: Tensor | None = None
    convolution: Convolution | None = None
    layer: nn.Module | None = None

    def known_shape(self, method: str) -> tuple[int, ...]:
        """Give the shape of one input.

        Args:
            method: Who asks, for messages.

        Returns:
            The shape.

        Raises:
            ValueError: It is not known.
        """
        if self.input_shape is None:
            raise ValueError(f"input_shape=None for norm estimate {method!r}, which is of one image size; give it")
        return self.input_shape

    def dense(self, method: str) -> Tensor:
        """Give the matrix.

        Args:
            method: Who asks, for messages.

        Returns:
            `(out, in)` float64.

        Raises:
            NotApplicableError: It is not a matrix.
        """
        if self.matrix is None:
            raise NotApplicableError(f"norm estimate {method!r} is of dense layers and matrices, not of {self.name}")
        return self.matrix

    def images(self, method: str) -> Convolution:
        """Give the convolution of images.

        Args:
            method: Who asks, for messages.

        Returns:
            The convolution, float64.

        Raises:
            NotApplicableError: It is not one of images or signals.
        """
        if self.convolution is None or self.convolution.weight.dim() != 4:
            raise NotApplicableError(f"norm estimate {method!r} is of 1-D and 2-D convolutions, not of {self.name}")
        return self.convolution

    def unrepeated(self, method: str) -> Convolution:
        """Give the convolution, if its padding repeats no pixel beyond what a circle needs.

        Then it is a part of the convolution on an unbounded image or on a torus, whose bounds hold for it.

        Args:
            method: Who asks, for messages.

        Returns:
            The convolution, float64.

        Raises:
            NotApplicableError: Its padding repeats pixels.
        """
        conv = self.images(method)
        reach = [d * (k - 1) for d, k in zip(conv.dilation, conv.weight.shape[2:], strict=True)]
        once = all(before + after <= r for (before, after), r in zip(conv.pads, reach, strict=True))
        if conv.mode == "zeros" or (conv.mode == "circular" and once):
            return conv
        raise NotApplicableError(
            f"norm estimate {method!r} holds for zero padding and for circular padding by at most "
            f"dilation * (kernel_size - 1); padding_mode={conv.mode!r} with {list(conv.pads)} repeats pixels"
        )

    def ring(self, method: str) -> Convolution:
        """Give the convolution, if it is one on a torus: every output is there, and nothing else.

        Args:
            method: Who asks, for messages.

        Returns:
            The convolution, float64.

        Raises:
            NotApplicableError: It is not one.
        """
        conv = self.images(method)
        self.known_shape(method)
        for axis, (size, pads, stride) in enumerate(zip(conv.sizes, conv.pads, conv.stride, strict=True)):
            added, extent = pads[0] + pads[1], conv.dilation[axis] * (conv.weight.shape[2 + axis] - 1) + 1
            outputs = (size + added - extent) // stride + 1
            if (conv.mode != "circular" and added) or outputs * stride != size:
                raise NotApplicableError(
                    f"norm estimate {method!r} is of circular convolutions that keep the image size or divide it by "
                    f"their stride; padding_mode={conv.mode!r} with {pads} makes {outputs} pixels of {size} at stride "
                    f"{stride}"
                )
        return conv


def phases(conv: Convolution) -> Tensor:
    """Write a strided, dilated convolution as one of stride 1 of the space-to-depth image, group by group.

    Args:
        conv: Of images.

    Returns:
        (groups, out/groups, in s_h s_w/groups, kh, kw); on a torus that the stride does not divide, those of stride 1,
        of which it drops outputs.
    """
    stride = (conv.stride[0], conv.stride[1])
    sizes = conv.sizes or (1,) * len(stride)
    if conv.mode == "circular" and any(n % s for n, s in zip(sizes, stride, strict=True)):
        stride = (1, 1)
    kernel = polyphase(conv.weight, stride, (conv.dilation[0], conv.dilation[1]))
    return kernel.unflatten(0, (conv.groups, -1))


def describe(
    layer: nn.Module | Tensor,
    input_shape: Sequence[int] | None,
    *,
    stride: Any = None,
    padding: Any = None,
    dilation: Any = None,
    groups: int | None = None,
    padding_mode: Any = None,
) -> Problem:
    """Find out what a layer computes.

    Args:
        layer: A module, a matrix `(out, in)`, or a kernel `(out, in/groups, k ...)`.
        input_shape: Shape of one input, if known.
        stride: Of a kernel, as in `nn.Conv2d`.
        padding: Likewise.
        dilation: Likewise.
        groups: Likewise.
        padding_mode: Likewise.

    Returns:
        The problem.

    Raises:
        ValueError: The arguments do not fit each other.
    """
    shape = None if input_shape is None else tuple(input_shape)
    geometry = {
        "stride": stride,
        "padding": padding,
        "dilation": dilation,
        "groups": groups,
        "padding_mode": padding_mode,
    }
    given = {name: value for name, value in geometry.items() if value is not None}
    if isinstance(layer, Tensor) and layer.dim() in (3, 4, 5):
        return _of_convolution(_module_of(layer, given), layer, shape)
    if given:
        name, value = next(iter(given.items()))
        raise ValueError(f"{name}={value!r} goes with a kernel alone; {_name(layer)} has all of its geometry")
    if isinstance(layer, Tensor):
        if layer.dim() != 2:
            raise ValueError(f"weight of shape {tuple(layer.shape)} is neither a matrix nor a convolution kernel")
        return _of_matrix(layer, None)
    return _of_module(layer, shape)


def _of_module(layer: nn.Module, shape: tuple[int, ...] | None) -> Problem:
    plain = layer.to_plain() if isinstance(layer, ConstrainedModule) else layer
    if isinstance(plain, nn.Linear):
        return _of_matrix(plain.weight, layer)
    if isinstance(plain, _CONVOLUTIONS):
        return replace(_of_convolution(plain, plain.weight, shape), layer=layer)

    def function(x: Tensor) -> Tensor:
        with evaluating(plain):
            y: Tensor = plain(x)
        return y

    return Problem(_name(layer), function, shape, layer=layer)


def _of_matrix(matrix: Tensor, layer: nn.Module | None) -> Problem:
    matrix = matrix.double()
    return Problem("a matrix", lambda x: F.linear(x, matrix), (matrix.shape[1],), matrix=matrix, layer=layer)


def _of_convolution(module: Any, weight: Tensor, shape: tuple[int, ...] | None) -> Problem:
    axes = weight.dim() - 2
    channels = weight.shape[1] * module.groups
    if shape is not None and (len(shape) != axes + 1 or shape[0] != channels):
        raise ValueError(f"input_shape={shape} does not fit a kernel of shape {tuple(weight.shape)}")
    conv = module_convolution(module, shape or (channels, *[1] * axes))
    mode = conv.mode if any(map(any, conv.pads)) else "zeros"
    conv = replace(conv, weight=weight.double(), sizes=conv.sizes if shape else (), mode=mode)
    return Problem(
        f"a {axes}-D convolution",
        lambda x: _convolve(conv, x),
        shape,
        convolution=_as_images(conv) if axes == 1 else conv,
    )


def _as_images(conv: Convolution) -> Convolution:
    return replace(
        conv,
        weight=conv.weight.unsqueeze(2),
        sizes=(1, *conv.sizes) if conv.sizes else (),
        stride=(1, *conv.stride),
        dilation=(1, *conv.dilation),
        pads=((0, 0), *conv.pads),
    )


def _convolve(conv: Convolution, x: Tensor) -> Tensor:
    sides = [side for pads in reversed(conv.pads) for side in pads]
    padded = F.pad(x, sides, mode="constant" if conv.mode == "zeros" else conv.mode)
    convolve = (F.conv1d, F.conv2d, F.conv3d)[conv.weight.dim() - 3]
    return convolve(padded, conv.weight, None, conv.stride, 0, conv.dilation, conv.groups)


def _module_of(weight: Tensor, given: dict[str, Any]) -> nn.Module:
    groups = given.get("groups", 1)
    kind: Any = _CONVOLUTIONS[weight.dim() - 3]
    with torch.device("meta"):
        return kind(weight.shape[1] * groups, weight.shape[0], tuple(weight.shape[2:]), bias=False, **given)


def _name(layer: nn.Module | Tensor) -> str:
    return "a matrix" if isinstance(layer, Tensor) else type(layer).__name__


def n_outputs(problem: Problem, shape: tuple[int, ...]) -> int:
    """Count the entries of one output.

    Args:
        problem: The map.
        shape: Shape of one input.

    Returns:
        Their number.
    """
    with torch.no_grad():
        return math.prod(problem.function(zeros(problem, 1, shape)).shape[1:])


def zeros(problem: Problem, count: int, shape: tuple[int, ...]) -> Tensor:
    """Make inputs of the map's own precision and device.

    Args:
        problem: The map.
        count: How many.
        shape: Shape of one.

    Returns:
        `(count, *shape)`.
    """
    weight = problem.matrix if problem.convolution is None else problem.convolution.weight
    if weight is None and problem.layer is not None:
        tensors = (*problem.layer.parameters(), *problem.layer.buffers())
        weight = next((t for t in tensors if t.is_floating_point()), None)
    like = torch.zeros(()) if weight is None else weight.detach()
    return like.new_zeros(count, *shape)
