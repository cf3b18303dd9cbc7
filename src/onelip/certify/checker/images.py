"""A convolution of images of one size as the checker sees it: tables of pixels, matrices at frequencies. NumPy only.

Along each axis, output t reads pixel table[t, a] through tap a, if any (-1 for zeros). So T = sum over taps a of
W_a (x) S_a1 (x) ... with zero-one matrices S_a, and T is what is to be bounded, whatever the padding.

An axis can be given up for frequencies. Let the outputs and pixels be part of a closed ring of m outputs and s m pixels
that reads all pixels where the axis reads them, and zeros elsewhere (or copies of pixels, c of each at most). The norm
is at most sqrt(c) times that on the ring, where the discrete Fourier transform splits T into the kernels
sum over a of W_a exp(i th v_a), tap a reading pixel r_a of the v_a-th block of s pixels. The th are 2 pi j / m, or,
where zeros part one turn of the ring from the next, 2 pi (j + 1/2) / m: multiplying each block of pixels and each
output by a phase changes no norm.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from onelip.certify.checker.arithmetic import gamma, plus, root, times
from onelip.certify.checker.errors import VerificationError
from onelip.certify.checker.network import Array
from onelip.certify.checker.refinement import TWIDDLE

Integers = npt.NDArray[np.int64]
Numbers = npt.NDArray[Any]
"""Of float64 or complex128."""

_NAMES = {"circular": "wrap", "reflect": "reflect", "replicate": "edge"}


@dataclass(frozen=True, eq=False)
class Axis:
    """One axis of a convolution at one size.

    Attributes:
        table: `(outputs, taps)`, pixels; -1 for zeros.
        pixels: Number of pixels.
        shifts: `(taps,)`, how far tap a is from pixel s t at output t.
        stride: s.
        turn: Outputs of a ring that the axis is part of.
        copies: Of each pixel on the ring, at most.
        parted: Do zeros part the turns of the ring?
        closed: Is the axis all of the ring?
    """

    table: Integers
    pixels: int
    shifts: Integers
    stride: int
    turn: int
    copies: int
    parted: bool
    closed: bool


def padding_copies(size: int, before: int, after: int, mode: str) -> int:
    """Count how often one pixel of a line occurs after padding, at most.

    Args:
        size: Pixels before padding.
        before: Pixels added in front.
        after: Pixels added behind.
        mode: "zeros", "circular", "reflect" or "replicate".

    Returns:
        The largest count.
    """
    if mode == "zeros":
        return 1
    line = np.pad(np.arange(size), (before, after), mode=_NAMES[mode])  # type: ignore[call-overload]
    return int(np.bincount(line).max())


def padded_axis(pixels: int, taps: int, stride: int, dilation: int, pads: tuple[int, int], mode: str) -> Axis:
    """Describe an axis of a padded convolution.

    Args:
        pixels: Size of the image.
        taps: Size of the kernel.
        stride: Of the outputs.
        dilation: Of the taps.
        pads: Pixels before and after.
        mode: "zeros", "circular", "reflect" or "replicate".

    Returns:
        The axis.

    Raises:
        VerificationError: If the mode is not known, or nothing is left.
    """
    before, after = pads
    last_start = pixels + before + after - dilation * (taps - 1) - 1
    if last_start < 0 or pixels < 1 or min(pads) < 0 or (mode == "reflect" and max(pads) >= pixels):
        raise VerificationError(f"{taps} taps on {pixels} pixels with pads={pads} and padding_mode={mode!r} do not fit")
    line: Integers = np.arange(pixels)
    if mode == "zeros":
        line = np.pad(line, pads, constant_values=-1)
    elif mode in _NAMES:
        line = np.pad(line, pads, mode=_NAMES[mode])  # type: ignore[call-overload]
    else:
        raise VerificationError(f"padding_mode={mode!r} does not fit what this checker knows: zeros and {[*_NAMES]}")
    shifts: Integers = np.arange(taps) * dilation - before
    starts = np.arange(0, last_start + 1, stride)
    table = line[starts[:, None] + (shifts + before)]
    outputs = len(starts)
    if mode == "zeros":
        return _parted(table, pixels, shifts, stride)
    if mode == "circular" and pixels % stride == 0 and outputs * stride <= pixels:
        return Axis(table, pixels, shifts, stride, pixels // stride, 1, False, outputs * stride == pixels)
    copies = padding_copies(pixels, *pads, mode)
    return Axis(table, pixels, shifts, stride, max(outputs, -(-len(line) // stride)), copies, True, False)


def transposed_axis(inputs: int, taps: int, stride: int, dilation: int, padding: int, output_padding: int) -> Axis:
    """Describe an axis of the convolution whose adjoint is a transposed convolution.

    Args:
        inputs: Size of the transposed convolution's input, outputs of the axis.
        taps: Size of the kernel.
        stride: Of the outputs.
        dilation: Of the taps.
        padding: Pixels cropped on each side.
        output_padding: Pixels added behind.

    Returns:
        The axis.

    Raises:
        VerificationError: If nothing is left.
    """
    pixels = (inputs - 1) * stride + dilation * (taps - 1) + 1 + output_padding - 2 * padding
    if inputs < 1 or pixels < 1:
        raise VerificationError(f"a transposed convolution of {inputs} pixels with padding={padding} leaves none")
    shifts: Integers = np.arange(taps) * dilation - padding
    table = np.arange(inputs)[:, None] * stride + shifts
    return _parted(np.where((table < 0) | (table >= pixels), -1, table), pixels, shifts, stride)


def _parted(table: Integers, pixels: int, shifts: Integers, stride: int) -> Axis:
    # Reads from first to last; one turn must keep those in front of the image and behind it apart from its pixels.
    first, last = int(shifts[0]), (len(table) - 1) * stride + int(shifts[-1])
    turn = max(len(table), -(-max(pixels - min(first, 0), last + 1) // stride))
    return Axis(table, pixels, shifts, stride, turn, 1, True, False)


@dataclass(frozen=True, eq=False)
class Images:
    """Operators to be bounded, all of one shape: one for each group, and frequency of the axes given up.

    Attributes:
        weights: `(operators, out, in, taps ...)`.
        axes: Those not given up.
        size: Bound of the norm with all numbers replaced by their absolute values.
        error: Bound of the norm of the error of each operator.
        copies: The norm is at most the root of this times the largest norm of the operators.
    """

    weights: Numbers
    axes: tuple[Axis, ...]
    size: float
    error: float = 0.0
    copies: int = 1

    def at_frequencies(self, given_up: tuple[int, ...], halves: tuple[int, ...]) -> Images:
        """Give axes up for the frequencies of their rings.

        Args:
            given_up: Which.
            halves: 1 to take the frequencies in between, for each of them.

        Returns:
            The operators, one for each pair th, -th, which are complex conjugate.
        """
        axes = [self.axes[i] for i in given_up]
        kept = [i for i in range(len(self.axes)) if i not in given_up]
        order = [3 + i for i in given_up] + [0, 1, 2] + [3 + i for i in kept]
        weights = self.weights.transpose(order)
        taps = math.prod(len(axis.shifts) for axis in axes)
        weights = weights.reshape(taps, -1)
        phases, places = _phases(axes, halves)
        block = math.prod(axis.stride for axis in axes)
        parts = []
        for place in range(block):
            chosen = places == place
            parts.append(phases[:, chosen].real @ weights[chosen] + 1j * (phases[:, chosen].imag @ weights[chosen]))
        rest = self.weights.shape[:3] + tuple(self.weights.shape[3 + i] for i in kept)
        stacked = np.stack(parts, 1).reshape(len(phases), block, *rest)
        stacked = np.moveaxis(stacked, 1, 4)
        shape = (-1, rest[1], rest[2] * block, *rest[3:])
        error = times(2 * (gamma(taps + 8) + 2 * TWIDDLE), self.size)
        return replace(
            self,
            weights=np.ascontiguousarray(stacked).reshape(shape),
            axes=tuple(self.axes[i] for i in kept),
            size=times(self.size, 1 + 1e-9),
            error=error,
            copies=self.copies * math.prod(axis.copies for axis in axes),
        )


def images(weights: Array, axes: tuple[Axis, ...]) -> Images:
    """Take a convolution as it is.

    Args:
        weights: `(groups, out/groups, in/groups, taps ...)`.
        axes: One for each axis of the image.

    Returns:
        One operator for each group.
    """
    size = 0.0
    for group in weights:
        terms = []
        for taps in np.ndindex(*group.shape[2:]):
            matrix = group[(slice(None), slice(None), *taps)]
            norm = root(float((matrix * matrix).sum()) * (1 + gamma(matrix.size + 4)) + 2.0**-900)
            # S_a reads a pixel for several outputs where padding repeats it.
            repeats = [root(float(_most_read(axis.table[:, a]))) for axis, a in zip(axes, taps, strict=True)]
            terms.append(times(norm, *repeats))
        size = max(size, plus(*terms))
    return Images(weights, axes, size)


def _most_read(column: Integers) -> int:
    read = column[column >= 0]
    return int(np.bincount(read).max()) if len(read) else 0


def _phases(axes: list[Axis], halves: tuple[int, ...]) -> tuple[npt.NDArray[np.complex128], Integers]:
    # exp(i th v_a) for each frequency and tap, and the place of each tap's pixel in its block.
    whole = [2 * axis.turn for axis in axes]
    steps = np.array(list(itertools.product(*(range(h, n, 2) for h, n in zip(halves, whole, strict=True)))))
    mirrored = -steps % whole
    first = [tuple(a) <= tuple(b) for a, b in zip(steps.tolist(), mirrored.tolist(), strict=True)]
    steps = steps[np.array(first)]
    shifts = np.array(list(itertools.product(*(axis.shifts.tolist() for axis in axes))))
    strides = np.array([axis.stride for axis in axes])
    blocks, within = np.divmod(shifts, strides)
    places = np.zeros(len(shifts), dtype=np.int64)
    for i, stride in enumerate(strides.tolist()):
        places = places * stride + within[:, i]
    total = math.prod(whole)
    turns = (steps * (total // np.array(whole))) @ blocks.T % total
    angles = np.where(2 * turns > total, turns - total, turns) * (2 * math.pi / total)
    return np.cos(angles) + 1j * np.sin(angles), places
