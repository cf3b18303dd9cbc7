"""Convolutions and their adjoints as weighted copies of pixels: which pixel each tap sees at each output pixel."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from onelip.certify.checker.network import Array, Step
from onelip.certify.paranoid.balls import ZERO, Balls, exact, full, product
from onelip.certify.paranoid.errors import require

Indices = npt.NDArray[np.int64]

_MODES = {"circular": "wrap", "reflect": "reflect", "replicate": "edge"}


@dataclass(frozen=True, eq=False)
class Taps:
    """A linear map of images of one or more axes.

    Attributes:
        weight: `(groups, out/groups, in/groups, k, ...)`.
        lines: For each axis `(n', k)`: pixel of the input that a tap sees at an output, or -1 for a zero.
        size: Pixels of the input along each axis.
    """

    weight: Array
    lines: tuple[Indices, ...]
    size: tuple[int, ...]

    @property
    def entries(self) -> tuple[int, int]:
        """Numbers of output and input entries of one group."""
        out, inner = self.weight.shape[1:3]
        return out * math.prod(len(line) for line in self.lines), inner * math.prod(self.size)

    def sources(self) -> Indices:
        """Count pixels in order.

        Returns:
            `(n', ..., k, ...)`: pixel that a tap sees at an output, or the number of pixels for a zero.
        """
        n = len(self.lines)
        flat, missing = np.zeros((1,) * (2 * n), dtype=np.int64), np.zeros((1,) * (2 * n), dtype=np.bool_)
        for i, (line, size) in enumerate(zip(self.lines, self.size, strict=True)):
            shape = [1] * (2 * n)
            shape[i], shape[n + i] = line.shape
            flat = flat * size + line.reshape(shape)
            missing = missing | (line < 0).reshape(shape)
        sources: Indices = np.where(missing, math.prod(self.size), flat)
        return sources

    def apply(self, x: Balls) -> Balls:
        """Map images.

        Args:
            x: `(N, in, ...)`.

        Returns:
            `(N, out, ...)`.
        """
        groups, out, inner = self.weight.shape[:3]
        n, axes = len(x), len(self.lines)
        shape = tuple(len(line) for line in self.lines)
        flat = np.concatenate([x.reshape(n, groups, inner, -1), full((n, groups, inner, 1))], -1)
        order = (1, *range(2 + axes, 2 + 2 * axes), 0, *range(2, 2 + axes))
        parts = []
        for g in range(groups):
            patches = flat[:, g][:, :, self.sources()].transpose(order)
            weights = exact(self.weight[g].reshape(out, -1))
            parts.append(product(weights, patches.reshape(weights.shape[1], -1)).reshape(out, n, *shape))
        return np.concatenate(parts).swapaxes(0, 1)

    def dense(self, group: int) -> Balls:
        """Write the map out.

        Args:
            group: Which of its groups.

        Returns:
            `(out n' ..., in n ...)` of one group.
        """
        out, inner = self.weight.shape[1:3]
        axes, sources = len(self.lines), self.sources()
        pixels = math.prod(sources.shape[:axes])
        seen = sources.reshape(pixels, -1)
        result = full((out, pixels, inner, math.prod(self.size) + 1))
        weight = exact(self.weight[group].reshape(out, inner, -1))
        for place, tap in np.ndindex(*seen.shape):
            result[:, place, :, seen[place, tap]] += weight[:, :, tap]
        return result[..., :-1].reshape(self.entries)


def grouped(step: Step, channels: int) -> Array:
    """Split a kernel into groups.

    Args:
        step: Has weight `(out, in/groups, k, ...)` and `groups`.
        channels: What the first axis times, or the second axis times the groups, must be; 0 for anything.

    Returns:
        `(groups, out/groups, in/groups, k, ...)`.
    """
    weight, groups = step.arrays["weight"], step.whole("groups", 1)
    require(3 <= weight.ndim <= 5 and len(weight) % groups == 0, step, f"weight {weight.shape} in {groups} groups")
    require(channels in (0, weight.shape[1] * groups), step, f"weight {weight.shape} for {channels} channels")
    return weight.reshape(groups, -1, *weight.shape[1:])


def padded_line(step: Step, size: int, before: int, after: int) -> Indices:
    """Say which pixel of a line each pixel of the padded line copies.

    Args:
        step: Has `padding_mode`.
        size: Number of pixels.
        before: Pixels in front.
        after: Pixels behind.

    Returns:
        `(before + size + after,)`, -1 for zeros.
    """
    line, mode = np.arange(size), step.attributes["padding_mode"]
    if mode == "zeros":
        return np.pad(line, (before, after), constant_values=-1)
    require(mode in _MODES, step, f"padding_mode {mode!r}")
    require(mode != "reflect" or max(before, after) < size, step, "reflected padding exceeds the image")
    padded: Indices = np.pad(line, (before, after), mode=_MODES[mode])  # type: ignore[call-overload]
    return padded


def _axis(line: Indices, kernel: int, stride: int, dilation: int, step: Step) -> Indices:
    count = (len(line) - dilation * (kernel - 1) - 1) // stride + 1
    require(count > 0, step, "image smaller than the kernel")
    return line[stride * np.arange(count)[:, None] + dilation * np.arange(kernel)]


def strides(step: Step, axes: int) -> tuple[int, ...]:
    """Read the stride of each axis.

    Args:
        step: Has `stride`, or means 1.
        axes: How many.

    Returns:
        The strides.
    """
    return step.wholes("stride", 1, axes) if "stride" in step.attributes else (1,) * axes


def sides(step: Step, axes: int) -> list[tuple[int, int]]:
    """Read the padding of each axis.

    Args:
        step: Has `pads`.
        axes: How many.

    Returns:
        Pixels (in front, behind) for each axis.
    """
    pads = step.wholes("pads", 0, 2 * axes)
    return list(zip(pads[::2], pads[1::2], strict=True))


def convolution(step: Step, shape: tuple[int, ...]) -> Taps:
    """Read a padded and strided cross-correlation.

    Args:
        step: Has weight and geometry; without `stride`, it is 1.
        shape: `(N, in, ...)`.

    Returns:
        The map.
    """
    weight, n = grouped(step, shape[1]), len(shape) - 2
    require(weight.ndim == n + 3, step, f"input {shape}")
    geometry = zip(
        shape[2:], sides(step, n), weight.shape[3:], strides(step, n), step.wholes("dilation", 1, n), strict=True
    )
    lines = (_axis(padded_line(step, size, *p), k, s, d, step) for size, p, k, s, d in geometry)
    return Taps(weight, tuple(lines), shape[2:])


def _adjoint(step: Step, shape: tuple[int, ...], axis: Callable[..., Indices]) -> Taps:
    weight, n = grouped(step, 0), len(shape) - 2
    require(weight.ndim == n + 3 and len(step.arrays["weight"]) == shape[1], step, f"input {shape}")
    geometry = zip(shape[2:], weight.shape[3:], strides(step, n), step.wholes("dilation", 1, n), strict=True)
    lines = tuple(axis(i, *numbers) for i, numbers in enumerate(geometry))
    return Taps(weight.swapaxes(1, 2), lines, shape[2:])


def zero_adjoint(step: Step, shape: tuple[int, ...], first: tuple[int, ...], last: tuple[int, ...]) -> Taps:
    """Read the adjoint of a cross-correlation, of which a window is kept.

    Args:
        step: Has weight and geometry.
        shape: `(N, channels, ...)`.
        first: First pixel kept of what the kernel reaches, counted from 0, for each axis.
        last: The pixel after the last one kept.

    Returns:
        The map.
    """

    def axis(i: int, size: int, kernel: int, stride: int, dilation: int) -> Indices:
        require(first[i] < last[i], step, "padding leaves no pixel")
        offset = np.arange(first[i], last[i])[:, None] - dilation * np.arange(kernel)
        source = offset // stride
        return np.where((offset % stride == 0) & (source >= 0) & (source < size), source, -1)

    return _adjoint(step, shape, axis)


def circular_adjoint(step: Step, shape: tuple[int, ...]) -> Taps:
    """Read the adjoint of a circular cross-correlation from images of size (s h, s w) to size (h, w).

    Args:
        step: Has weight, geometry and `pads`.
        shape: `(N, channels, h, w)`.

    Returns:
        The map.
    """
    pads = step.wholes("pads", 0, 4)

    def axis(i: int, size: int, kernel: int, stride: int, dilation: int) -> Indices:
        offset = np.arange(size * stride)[:, None] + pads[2 * i] - dilation * np.arange(kernel)
        return np.where(offset % stride == 0, offset // stride % size, -1)

    return _adjoint(step, shape, axis)


def most_copies(line: Indices) -> int:
    """Count how often a padded line copies the pixel that it copies most.

    Args:
        line: From `padded_line`.

    Returns:
        The square of the norm of padding.
    """
    return int(np.bincount(line[line >= 0]).max())


def with_bias(step: Step, y: Balls, axis: int = 1) -> Balls:
    """Add a step's bias, if it has one.

    Args:
        step: The step.
        y: `(N, ...)`.
        axis: Along which the bias goes.

    Returns:
        The same shape.
    """
    if "bias" not in step.arrays:
        return y
    bias = step.arrays["bias"]
    require(bias.shape == (y.shape[axis],), step, f"bias of shape {bias.shape} for output {y.shape}")
    return y + exact(bias).reshape(-1, *[1] * (y.ndim - 1 - axis))


def rectified(x: Balls) -> Balls:
    """Take max(0, x).

    Args:
        x: Any shape.

    Returns:
        The same shape.
    """
    result: Balls = np.frompyfunc(lambda v: v.max(ZERO), 1, 1)(x)
    return result
