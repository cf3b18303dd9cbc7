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
    """A linear map of images.

    Attributes:
        weight: `(groups, out/groups, in/groups, kh, kw)`.
        rows: `(H', kh)`: row of the input that a tap sees, or -1 for a zero.
        columns: `(W', kw)`: likewise.
        size: (H, W) of the input.
    """

    weight: Array
    rows: Indices
    columns: Indices
    size: tuple[int, int]

    @property
    def entries(self) -> tuple[int, int]:
        """Numbers of output and input entries of one group."""
        _, out, inner, _, _ = self.weight.shape
        return out * len(self.rows) * len(self.columns), inner * math.prod(self.size)

    def _sources(self) -> Indices:
        rows, columns = self.rows[:, None, :, None], self.columns[None, :, None, :]
        sources: Indices = np.where((rows < 0) | (columns < 0), math.prod(self.size), rows * self.size[1] + columns)
        return sources

    def apply(self, x: Balls) -> Balls:
        """Map images.

        Args:
            x: `(N, in, H, W)`.

        Returns:
            `(N, out, H', W')`.
        """
        groups, out, inner = self.weight.shape[:3]
        n, shape = len(x), (len(self.rows), len(self.columns))
        flat = np.concatenate([x.reshape(n, groups, inner, -1), full((n, groups, inner, 1))], -1)
        parts = []
        for g in range(groups):
            patches = flat[:, g][:, :, self._sources()].transpose(1, 4, 5, 0, 2, 3)
            weights = exact(self.weight[g].reshape(out, -1))
            parts.append(product(weights, patches.reshape(weights.shape[1], -1)).reshape(out, n, *shape))
        return np.concatenate(parts).transpose(1, 0, 2, 3)

    def dense(self, group: int) -> Balls:
        """Write the map out.

        Args:
            group: Which of its groups.

        Returns:
            `(out H' W', in H W)` of one group.
        """
        out, inner = self.weight.shape[1:3]
        sources = self._sources()
        result = full((out, *sources.shape[:2], inner, math.prod(self.size) + 1))
        weight = exact(self.weight[group])
        for i, j, a, b in np.ndindex(*sources.shape):
            result[:, i, j, :, sources[i, j, a, b]] += weight[:, :, a, b]
        return result[..., :-1].reshape(self.entries)


def grouped(step: Step, channels: int) -> Array:
    """Split a kernel into groups.

    Args:
        step: Has weight `(out, in/groups, kh, kw)` and `groups`.
        channels: What the first axis times, or the second axis times the groups, must be; 0 for anything.

    Returns:
        `(groups, out/groups, in/groups, kh, kw)`.
    """
    weight, groups = step.arrays["weight"], step.whole("groups", 1)
    require(weight.ndim == 4 and len(weight) % groups == 0, step, f"weight {weight.shape} in {groups} groups")
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


def convolution(step: Step, shape: tuple[int, ...]) -> Taps:
    """Read a padded and strided cross-correlation.

    Args:
        step: Has weight and geometry; without `stride`, it is 1.
        shape: `(N, in, H, W)`.

    Returns:
        The map.
    """
    require(len(shape) == 4, step, f"input {shape}")
    weight, pads = grouped(step, shape[1]), step.wholes("pads", 0, 4)
    stride = step.wholes("stride", 1, 2) if "stride" in step.attributes else (1, 1)
    dilation = step.wholes("dilation", 1, 2)
    axes = [
        _axis(padded_line(step, n, *p), k, s, d, step)
        for n, p, k, s, d in zip(shape[2:], (pads[:2], pads[2:]), weight.shape[3:], stride, dilation, strict=True)
    ]
    return Taps(weight, axes[0], axes[1], (shape[2], shape[3]))


def _adjoint(step: Step, shape: tuple[int, ...], axis: Callable[..., Indices]) -> Taps:
    weight = grouped(step, 0)
    require(len(shape) == 4 and len(step.arrays["weight"]) == shape[1], step, f"input {shape}")
    stride = step.wholes("stride", 1, 2) if "stride" in step.attributes else (1, 1)
    dilation = step.wholes("dilation", 1, 2)
    axes = [axis(i, shape[2 + i], weight.shape[3 + i], stride[i], dilation[i]) for i in (0, 1)]
    return Taps(weight.transpose(0, 2, 1, 3, 4), axes[0], axes[1], (shape[2], shape[3]))


def zero_adjoint(step: Step, shape: tuple[int, ...], first: tuple[int, int], last: tuple[int, int]) -> Taps:
    """Read the adjoint of a cross-correlation, of which a window is kept.

    Args:
        step: Has weight and geometry.
        shape: `(N, channels, h, w)`.
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


def padding_norm_squared(step: Step, sizes: tuple[int, ...]) -> int:
    """Count how often padding copies the pixel that it copies most.

    Args:
        step: Has `pads` and `padding_mode`.
        sizes: (H, W).

    Returns:
        The square of the norm of padding.
    """
    pads = step.wholes("pads", 0, 4)
    lines = (padded_line(step, n, *p) for n, p in zip(sizes, (pads[:2], pads[2:]), strict=True))
    return math.prod(int(np.bincount(line[line >= 0]).max()) for line in lines)


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
