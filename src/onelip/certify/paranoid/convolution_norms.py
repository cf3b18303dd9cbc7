"""The norm of a convolution at the image size of the certificate.

Each axis is either taken as it is, or as a part of a ring. Where the claim is not proved with all axes on rings, it is
with fewer, which is closer to the norm, and in the end the norm itself.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from flint import arb

from onelip.certify.checker.network import Array, Step
from onelip.certify.paranoid.balls import ZERO, exact, root
from onelip.certify.paranoid.errors import NotCoveredError
from onelip.certify.paranoid.norms import cheap_norm, norm_at_most
from onelip.certify.paranoid.pixels import LARGEST_SIDE, Pattern, pairs_of, pattern, pixels_at_most
from onelip.certify.paranoid.taps import Taps, convolution, grouped, most_copies, padded_line, sides, strides
from onelip.certify.paranoid.torus import WORK, Ring, frequencies, is_real, phases, symbols, work


@dataclass(frozen=True, eq=False)
class _Map:
    """A convolution, or the adjoint of one.

    Attributes:
        weight: `(groups, out/groups, in/groups, k, ...)` of the convolution.
        taps: What is computed.
        adjoint: Is that the adjoint?
        dilation: Of each axis.
        rings: Of each axis.
    """

    weight: Array
    taps: Taps
    adjoint: bool
    dilation: tuple[int, ...]
    rings: tuple[Ring, ...]


def convolution_norm(step: Step, shape: tuple[int, ...], claims: tuple[Any, ...]) -> Any:
    """Bound a padded and strided convolution of images of one size.

    Args:
        step: Has weight and geometry.
        shape: `(N, in, ...)`.
        claims: Balls to try to prove, in this order.

    Returns:
        A ball whose upper end is a bound: at most one of the claims if it could be proved.
    """
    n = len(shape) - 2
    taps, dilation = convolution(step, shape), step.wholes("dilation", 1, n)
    outputs = [len(line) for line in taps.lines]
    geometry = zip(
        shape[2:], outputs, sides(step, n), step.arrays["weight"].shape[2:], strides(step, n), dilation, strict=True
    )
    rings = tuple(_ring(step, *numbers) for numbers in geometry)
    return _norm(step, _Map(grouped(step, 0), taps, False, dilation, rings), claims)


def adjoint_norm(step: Step, taps: Taps, padding: tuple[int, ...], claims: tuple[Any, ...]) -> Any:
    """Bound the adjoint of a convolution of images of one size.

    Args:
        step: Has weight and geometry.
        taps: The map.
        padding: Pixels in front of each axis of the convolution, if it pads with zeros; nothing if it wraps around its
            image, which is the size of this one times the stride.
        claims: Balls to try to prove, in this order.

    Returns:
        A ball whose upper end is a bound.
    """
    n = len(taps.size)
    stride, dilation, kernel = strides(step, n), step.wholes("dilation", 1, n), step.arrays["weight"].shape[2:]
    if padding:
        geometry = zip(taps.lines, taps.size, padding, kernel, stride, dilation, strict=True)
        rings = tuple(_zeros(len(line), size, *numbers) for line, size, *numbers in geometry)
    else:
        rings = tuple(Ring(size, s, 1, False) for size, s in zip(taps.size, stride, strict=True))
    return _norm(step, _Map(grouped(step, 0), taps, True, dilation, rings), claims)


def _zeros(size: int, outputs: int, before: int, kernel: int, stride: int, dilation: int) -> Ring:
    # Positions in front of the image fall behind it, and what is read behind it, before the image comes round.
    reach = max(size + before, (outputs - 1) * stride + dilation * (kernel - 1) - before + 1)
    return Ring(max(-(-reach // stride), outputs), stride, 1, True)


def _ring(step: Step, size: int, outputs: int, pads: tuple[int, int], kernel: int, stride: int, dilation: int) -> Ring:
    mode = step.attributes["padding_mode"]
    if mode == "zeros":
        return _zeros(size, outputs, pads[0], kernel, stride, dilation)
    if mode == "circular" and sum(pads) <= dilation * (kernel - 1):
        # A stride that does not divide the image only drops outputs of the convolution without it.
        divides = size % stride == 0
        return Ring(size // stride if divides else size, stride if divides else 1, 1, False)
    copies = most_copies(padded_line(step, size, *pads))
    return Ring(-(-(size + sum(pads)) // stride), stride, copies, True)


def _norm(step: Step, given: _Map, claims: tuple[Any, ...]) -> Any:
    factor = root(arb(math.prod(ring.copies for ring in given.rings)))
    simple = factor * _tap_sum(given.weight)
    if any(simple <= claim for claim in claims):
        return simple
    plans = list(_plans(given))
    if not plans:
        raise NotCoveredError(f"{step.op} {step.name!r} is too large to prove its constant in ball arithmetic")
    for claim in claims:
        if claim.is_finite() and claim > 0 and any(_proved(given, *plan, claim) for plan in plans):
            return claim
    return simple


_Plan = tuple[tuple[int, ...], list[Array], Pattern | None]


def _plans(given: _Map) -> Iterator[_Plan]:
    # Most rings first: axes that go round, kernels of stride 1 with these axes in front, and the pattern of the others.
    axes = range(len(given.rings))
    for count in reversed(range(len(axes) + 1)):
        for chosen in combinations(axes, count):
            rings, rest = tuple(given.rings[i] for i in chosen), [i for i in axes if i not in chosen]
            stride = tuple(given.rings[i].stride if i in chosen else 1 for i in axes)
            dilation = tuple(given.dilation[i] if i in chosen else 1 for i in axes)
            order = (0, 1, *(2 + i for i in chosen), *(2 + i for i in rest))
            kernels = [phases(part, stride, dilation).transpose(order) for part in given.weight]
            points = frequencies(rings)
            complex_ = not all(is_real(point, rings) for point in points)
            shape = _pattern(given, rest, kernels[0], complex_) if rest else None
            if shape is not None and shape.side > LARGEST_SIDE:
                continue
            cost = work(kernels[0], len(points)) if shape is None else shape.work * len(points)
            if cost * len(kernels) <= WORK:
                yield chosen, kernels, shape


def _pattern(given: _Map, rest: list[int], kernel: Array, complex_: bool) -> Pattern:
    lines, size = tuple(given.taps.lines[i] for i in rest), tuple(given.taps.size[i] for i in rest)
    sources = Taps(given.weight, lines, size).sources()
    outputs = tuple(len(line) for line in lines)
    pairs = pairs_of(sources.reshape(math.prod(outputs), -1), size, given.adjoint)
    shapes = (size, outputs) if given.adjoint else (outputs, size)
    channels = kernel.shape[0] * (1 + complex_), kernel.shape[1] * (1 + complex_)
    slabs = tuple(math.prod(shape[1:]) for shape in shapes)
    return pattern(pairs, (math.prod(shapes[0]), math.prod(shapes[1])), channels, (slabs[0], slabs[1]))


def _proved(given: _Map, chosen: tuple[int, ...], kernels: list[Array], shape: Pattern | None, claim: Any) -> bool:
    rings = tuple(given.rings[i] for i in chosen)
    copies = math.prod(ring.copies for ring in rings)
    bound = claim if copies == 1 else claim / root(arb(copies))
    rest = [i for i in range(len(given.rings)) if i not in chosen]
    for kernel in kernels:
        for weights in symbols(kernel, rings):
            if shape is None:
                if not norm_at_most(weights[0], bound):
                    return False
                continue
            # Real frequencies have half the channels.
            half = weights[0].shape[int(shape.turned)] != shape.channels
            fits = _pattern(given, rest, kernel, False) if half else shape
            if not pixels_at_most(fits, weights, bound):
                return False
    return True


def _tap_sum(weight: Array) -> Any:
    # A convolution is a sum of shifts, each with one tap's matrix.
    groups, out, inner = weight.shape[:3]
    taps = exact(weight).reshape(groups, out, inner, -1)
    sums = [sum((cheap_norm(taps[g, :, :, a]) for a in range(taps.shape[3])), ZERO) for g in range(groups)]
    result = sums[0]
    for value in sums[1:]:
        result = result.max(value)
    return result
