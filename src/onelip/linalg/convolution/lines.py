"""Which pixel each tap of a convolution reads, along one axis of an image of one size, in every padding mode.

Along one axis, tap a of a convolution is a matrix S_a of zeros and ones: output t reads pixel reads[t, a], if any. In
several dimensions the convolution is the sum over taps of W_a (x) S_a1 (x) S_a2 (x) ..., with the matrix W_a of the
kernel at tap a = (a1, a2, ...). This covers padding, strides, dilation and transposed convolutions alike.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

MODES = ("zeros", "circular", "reflect", "replicate")


@dataclass(frozen=True)
class Ring:
    """A circular line of which a line is a part.

    The line's operator is the ring's, restricted to some outputs, after a map that copies pixels or drops some.

    Attributes:
        length: Outputs of the ring; it has `stride` times as many pixels.
        copies: How often a pixel is copied, at most.
        twisted: Does the same hold if pixels are multiplied by exp(i phi) at every turn, for any angle phi?
        whole: Is the line all of the ring?
    """

    length: int
    copies: int
    twisted: bool
    whole: bool


@dataclass(frozen=True, eq=False)
class Line:
    """One axis of a convolution.

    Attributes:
        reads: (outputs, taps), int64: the pixel that each tap of each output reads; -1 for none.
        size: Pixels.
        stride: Pixels from one output to the next.
        offsets: (taps,), int64: the pixel that output 0 would read without padding.
        ring: The ring it is a part of.
    """

    reads: Tensor
    size: int
    stride: int
    offsets: Tensor
    ring: Ring

    @property
    def outputs(self) -> int:
        """Number of outputs."""
        return self.reads.shape[0]

    @property
    def taps(self) -> int:
        """Number of taps."""
        return self.reads.shape[1]

    @property
    def norms_sq(self) -> Tensor:
        """(taps,), int64: ||S_a||^2, how many outputs read one pixel through tap a, at most; S_a^T S_a is diagonal."""
        return self.readers().amax(1)

    def readers(self) -> Tensor:
        """Count the outputs that read each pixel.

        Returns:
            (taps, size), int64.
        """
        counts = torch.zeros(self.taps, self.size + 1, dtype=torch.int64)
        return counts.scatter_add_(1, self.reads.T + 1, torch.ones_like(self.reads.T))[:, 1:]

    def selections(self) -> Tensor:
        """Write out the matrices S_a.

        Returns:
            (taps, outputs, size), float64.
        """
        chosen = torch.nn.functional.one_hot(self.reads.T + 1, self.size + 1)
        return chosen[..., 1:].double()


def conv_line(
    size: int, kernel: int, *, stride: int = 1, dilation: int = 1, pads: tuple[int, int] = (0, 0), mode: str = "zeros"
) -> Line:
    """Describe one axis of a convolution.

    Args:
        size: Pixels.
        kernel: Taps.
        stride: Pixels from one output to the next.
        dilation: Pixels from one tap to the next.
        pads: Pixels added (before, after).
        mode: "zeros", "circular", "reflect" or "replicate".

    Returns:
        The line.

    Raises:
        ValueError: If the mode is not known, the padding does not fit it, or no output is left.
    """
    if mode not in MODES:
        raise ValueError(f"mode={mode!r} of a convolution is not a padding mode; choose from {MODES}")
    before, after = pads
    room = size + before + after - dilation * (kernel - 1) - 1
    if size < 1 or room < 0:
        raise ValueError(f"size={size} with pads={pads} of a convolution of {kernel} taps leaves no output")
    if mode == "reflect" and max(pads) >= size:
        raise ValueError(f"pads={pads} with mode='reflect' must be smaller than size={size}")
    padded = _padded(torch.arange(-before, size + after), size, mode)
    steps = torch.arange(room // stride + 1)[:, None] * stride + torch.arange(kernel) * dilation
    ring = _ring(size, len(steps), int(steps.max()) - before, stride, before, mode)
    if ring is None:
        kept = padded[padded >= 0]
        length = max(len(steps), -(-len(padded) // stride))
        ring = Ring(length, int(torch.bincount(kept).max()), twisted=True, whole=False)
    return Line(padded[steps], size, stride, torch.arange(kernel) * dilation - before, ring)


def adjoint_line(
    size: int, kernel: int, *, stride: int = 1, dilation: int = 1, padding: int = 0, output_padding: int = 0
) -> Line:
    """Describe one axis of the convolution that a zero-padded transposed one is the adjoint of.

    Args:
        size: Pixels of the transposed convolution's input: outputs of the line.
        kernel: Taps.
        stride: Output pixels from one input pixel to the next.
        dilation: Pixels from one tap to the next.
        padding: Pixels cropped on either side.
        output_padding: Pixels added at the end.

    Returns:
        The line, whose pixels are those of the transposed convolution's output.

    Raises:
        ValueError: If no output pixel is left.
    """
    pixels = (size - 1) * stride - 2 * padding + dilation * (kernel - 1) + output_padding + 1
    if size < 1 or pixels < 1:
        raise ValueError(f"size={size} of a transposed convolution with padding={padding} leaves no output")
    steps = torch.arange(size)[:, None] * stride + torch.arange(kernel) * dilation - padding
    ring = _ring(pixels, size, int(steps.max()), stride, padding, "zeros")
    if ring is None:
        raise ValueError(f"padding={padding} of a transposed convolution must not be negative")
    return Line(_padded(steps, pixels, "zeros"), pixels, stride, torch.arange(kernel) * dilation - padding, ring)


def _ring(size: int, outputs: int, last: int, stride: int, before: int, mode: str) -> Ring | None:
    if mode == "circular":
        # Outputs may be left out, but none may come twice.
        fits = size % stride == 0 and outputs * stride <= size
        return Ring(size // stride, 1, twisted=False, whole=outputs * stride == size) if fits else None
    if mode != "zeros" or before < 0:
        return None
    # Zeros before the image are pixels behind it on the ring, and zeros behind it must not be pixels of it.
    pixels = max(size + before, last + 1, size)
    return Ring(max(outputs, -(-pixels // stride)), 1, twisted=True, whole=False)


def _padded(positions: Tensor, size: int, mode: str) -> Tensor:
    if mode == "circular":
        return positions % size
    if mode == "replicate":
        return positions.clamp(0, size - 1)
    if mode == "reflect":
        return (size - 1) - ((size - 1) - positions.abs()).abs()
    return torch.where((positions >= 0) & (positions < size), positions, -1)
