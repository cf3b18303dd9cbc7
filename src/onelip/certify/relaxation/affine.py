"""Affine maps with what a rigorous analysis needs of them: adjoint, sizes of coefficients, roundings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from onelip.certify.values import TINY
from onelip.layers.conv_arguments import circular_pad
from onelip.linalg import gamma

Shape = tuple[int, ...]
Map = Callable[[Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class AffineMap:
    """x -> M x + c on batches of samples, in float64.

    Each computed entry of M x, M^T a or |M| x is off by at most gamma(terms) times the same entry of |M| |x| or
    |M|^T |a|, the rounding of the coefficients included (underflow aside).

    Attributes:
        apply: M x, `(N, *before)` to `(N, *after)`.
        absolute: At least |M| x, for x >= 0.
        adjoint: M^T a, `(N, *after)` to `(N, *before)`.
        terms: Roundings on the way of each product.
        offset: c, of a shape that broadcasts to `after`, or None for 0.
        offset_size: At least |c|; the computed c is off by at most gamma(terms) of it.
        row_norms: At least the l2 norm of each row of M, of a shape that broadcasts to `after`; None if unknown.
    """

    apply: Map
    absolute: Map
    adjoint: Map
    terms: int
    offset: Tensor | None = None
    offset_size: Tensor | None = None
    row_norms: Tensor | None = None

    def shifted(self, offset: Tensor | None) -> AffineMap:
        """Add a stored offset.

        Args:
            offset: Of a shape that broadcasts to the output, or None.

        Returns:
            The map with it.
        """
        return self if offset is None else replace(self, offset=offset, offset_size=offset.abs())


def adjoint_map(of: AffineMap, of_sizes: AffineMap, factor: float) -> AffineMap:
    """Describe x -> factor M^T x.

    Args:
        of: M.
        of_sizes: The same map with |M|.
        factor: Any number; the product is one more rounding.

    Returns:
        The map.
    """
    return AffineMap(
        lambda x: of.adjoint(x) * factor,
        lambda x: of_sizes.adjoint(x) * abs(factor),
        lambda a: of.apply(a) * factor,
        of.terms + 1,
    )


def exact_map(apply: Map, before: Shape, absolute: Map | None = None) -> AffineMap:
    """Describe a map with at most a few entries of size 1 in a row or column, such as a rearrangement.

    Args:
        apply: The linear function, which must be differentiable.
        before: Shape of an input sample.
        absolute: The same with the sizes of the coefficients; by default they are positive.

    Returns:
        The map; its adjoint is a derivative.
    """
    return AffineMap(apply, absolute or apply, derivative(apply, before), 4)


def derivative(apply: Map, before: Shape) -> Map:
    """Find the adjoint of a linear function.

    Args:
        apply: The function, built of differentiable operations.
        before: Shape of an input sample.

    Returns:
        The adjoint, by backpropagation; differentiable itself, in what it is applied to.
    """

    def adjoint(a: Tensor) -> Tensor:
        onward = a.requires_grad and torch.is_grad_enabled()
        with torch.enable_grad():
            x = torch.zeros(len(a), *before, dtype=a.dtype, device=a.device, requires_grad=True)
            (image,) = torch.autograd.grad(apply(x), x, a, create_graph=onward)
        return image

    return adjoint


def dense_map(weight: Tensor) -> AffineMap:
    """Describe x -> x W^T on the last axis.

    Args:
        weight: W, `(out, in)` float64.

    Returns:
        The map.
    """
    size = weight.abs()
    norms = torch.linalg.vector_norm(weight, dim=1) * (1 + gamma(weight.shape[1] + 4)) + TINY
    return AffineMap(
        lambda x: F.linear(x, weight),
        lambda x: F.linear(x, size),
        lambda a: a @ weight,
        max(weight.shape) + 1,
        row_norms=norms,
    )


def diagonal_map(factor: Tensor, terms: int = 2) -> AffineMap:
    """Describe the product with a number for each entry.

    Args:
        factor: Of a shape that broadcasts to a sample.
        terms: Roundings of the factor and the product.

    Returns:
        The map.
    """
    return AffineMap(lambda x: x * factor, lambda x: x * factor.abs(), lambda a: a * factor, terms)


@dataclass(frozen=True)
class Convolution:
    """The geometry of a 2-D convolution.

    Attributes:
        before: `(C, H, W)`, shape of an input sample.
        stride: (vertical, horizontal).
        pads: (top, bottom, left, right).
        dilation: (vertical, horizontal).
        groups: Number of groups.
        padding_mode: As torch names it.
    """

    before: Shape
    stride: tuple[int, int]
    pads: tuple[int, int, int, int]
    dilation: tuple[int, int]
    groups: int
    padding_mode: str

    def pad(self, x: Tensor) -> Tensor:
        """Pad images.

        Args:
            x: `(N, C, H, W)`.

        Returns:
            The padded images.
        """
        top, bottom, left, right = self.pads
        sides = (left, right, top, bottom)
        if self.padding_mode == "circular":
            return circular_pad(x, sides)
        return F.pad(x, sides, mode="constant" if self.padding_mode == "zeros" else self.padding_mode)

    @property
    def copies(self) -> int:
        """How often a pixel is at most in the padded image."""
        top, bottom, left, right = self.pads
        return 1 if self.padding_mode == "zeros" else (1 + top + bottom) * (1 + left + right)


def conv_map(weight: Tensor, geometry: Convolution) -> AffineMap:
    """Describe a convolution.

    Args:
        weight: `(out, in/groups, kh, kw)` float64.
        geometry: Everything else.

    Returns:
        The map.
    """
    g, size = geometry, weight.abs()

    def convolve(x: Tensor, kernel: Tensor) -> Tensor:
        return F.conv2d(g.pad(x), kernel, None, g.stride, 0, g.dilation, g.groups)

    unpad = derivative(g.pad, g.before)
    ones = torch.ones(1, *g.before, dtype=weight.dtype, device=weight.device)
    padded = g.pad(ones).shape[1:]

    def adjoint(a: Tensor) -> Tensor:
        # Rows and columns at the end of the padded image that no window reaches.
        sides = zip(padded[1:], a.shape[2:], weight.shape[2:], g.stride, g.dilation, strict=True)
        rest = [size - (count - 1) * step - (taps - 1) * gap - 1 for size, count, taps, step, gap in sides]
        return unpad(F.conv_transpose2d(a, weight, None, g.stride, 0, rest, g.groups, g.dilation))

    # Each row and each column of M has so many taps, some of which may meet the same pixel.
    terms = max(weight.shape[1], len(weight) // g.groups) * weight[0, 0].numel() * g.copies + 1
    squares = convolve(ones, weight.square()) * g.copies
    norms = squares.sqrt()[0] * (1 + gamma(terms + 8)) + TINY
    return AffineMap(lambda x: convolve(x, weight), lambda x: convolve(x, size), adjoint, terms, row_norms=norms)
