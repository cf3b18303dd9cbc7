"""The steps that a network is rewritten into: affine maps, and functions that lines enclose."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor
from typing_extensions import override

from onelip.certify.relaxation.affine import AffineMap, Shape
from onelip.certify.relaxation.intervals import Interval
from onelip.certify.values import SLACK, TINY
from onelip.linalg import gamma

Slopes = Literal["adaptive", "parallel"]

Pull = Callable[[Tensor], tuple[list[Tensor], Tensor | None]]
"""From coefficients `(N, R, *shape)` of a step's value, or `(1, R, *shape)` for all samples alike, to those of its
inputs and a constant `(N, R)` or `(1, R)`."""


@dataclass(frozen=True, eq=False)
class Linearised:
    """How a functional of a step's value is bounded below by one of the step's inputs.

    <a, y> >= sum_i <a_i, x_i> + b for all inputs in the region, if `pull` were exact; the roundings made in it change
    that by at most gamma(terms + number of entries + 8) times <|a|, size>.

    Attributes:
        pull: From a to the a_i and b.
        size: `(N, *shape)` at least sum_i |M_i| |x_i| + |c| for the lines y = sum_i M_i x_i + c in use.
        terms: Roundings on the way of each product.
    """

    pull: Pull
    size: Tensor
    terms: int


@dataclass(frozen=True, eq=False)
class Step(ABC):
    """A value of the rewritten network.

    Attributes:
        name: That of the node of the frozen network whose value it is, or one of its own.
        inputs: Names of the steps that it reads.
        shape: Of one sample.
    """

    name: str
    inputs: tuple[str, ...]
    shape: Shape

    @abstractmethod
    def enclose(self, inputs: list[Interval]) -> Interval:
        """Enclose the value.

        Args:
            inputs: Enclosures of the inputs.

        Returns:
            An interval that holds the value for all inputs inside; rounded outward.
        """

    @abstractmethod
    def linearise(self, inputs: list[Interval], slopes: Slopes) -> Linearised:
        """Bound functionals of the value by functionals of the inputs.

        Args:
            inputs: Enclosures of the inputs.
            slopes: Which lower lines.

        Returns:
            How.
        """


@dataclass(frozen=True, eq=False)
class Affine(Step):
    """A sum of affine maps of the inputs.

    Attributes:
        maps: One for each input.
        monotone: For sums that come of rewriting a monotone function: the function itself on the first input, which
            encloses better than the sum.
    """

    maps: tuple[AffineMap, ...] = ()
    monotone: Callable[[Tensor], Tensor] | None = None

    @property
    def terms(self) -> int:
        """Roundings on the way of each product."""
        return max(m.terms for m in self.maps) + len(self.maps) + 2

    def _size(self, inputs: list[Interval]) -> Tensor:
        # At least sum |M| |x| + |c|.
        total = torch.stack([m.absolute(x.size) for m, x in zip(self.maps, inputs, strict=True)]).sum(0)
        for m in self.maps:
            total = total if m.offset_size is None else total + m.offset_size
        return total * SLACK + TINY

    @override
    def enclose(self, inputs: list[Interval]) -> Interval:
        if self.monotone is not None:
            return Interval(self.monotone(inputs[0].lower), self.monotone(inputs[0].upper))
        centre = torch.stack([m.apply(x.centre) for m, x in zip(self.maps, inputs, strict=True)]).sum(0)
        for m in self.maps:
            centre = centre if m.offset is None else centre + m.offset
        spread = torch.stack([m.absolute(x.radius) for m, x in zip(self.maps, inputs, strict=True)]).sum(0)
        # The roundings of the centre, and of the ends of the interval.
        error = spread * SLACK + self._size(inputs) * gamma(self.terms + 8) + TINY
        return Interval(centre - error, centre + error)

    @override
    def linearise(self, inputs: list[Interval], slopes: Slopes) -> Linearised:
        def pull(a: Tensor) -> tuple[list[Tensor], Tensor | None]:
            flat = a.flatten(0, 1)
            parts = [m.adjoint(flat).unflatten(0, a.shape[:2]) for m in self.maps]
            offsets = [m.offset for m in self.maps if m.offset is not None]
            if not offsets:
                return parts, None
            constants = [a.flatten(2) @ c.expand(self.shape).flatten() for c in offsets]
            return parts, torch.stack(constants).sum(0)

        return Linearised(pull, self._size(inputs), self.terms)


@dataclass(frozen=True, eq=False)
class Rectifier(Step):
    """x for x >= 0 and s x for x < 0, entry by entry: ReLU, leaky ReLU, PReLU, the absolute value.

    For s <= 1 it is convex: on an interval [l, u] around 0 it is below its chord, of slope k = (u - s l) / (u - l), and
    above each line through 0 with a slope between s and 1; for s > 1 the other way round. The chord's slope is
    computed, then its intercept is chosen and rounded outward such that the line with that very slope is valid.

    Attributes:
        slope: s, finite, of a shape that broadcasts to a sample.

    Paper:
        Wong and Kolter 2018, arXiv:1711.00851 ("parallel"); Zhang, Weng, Chen, Hsieh and Daniel 2018, arXiv:1811.00866
        ("adaptive").
    """

    slope: Tensor = field(default_factory=lambda: torch.zeros(1, dtype=torch.float64))

    @override
    def enclose(self, inputs: list[Interval]) -> Interval:
        x = inputs[0]
        ends = [torch.where(end >= 0, end, end * self.slope) for end in (x.lower, x.upper)]
        low, high = torch.minimum(*ends), torch.maximum(*ends)
        crosses = (x.lower < 0) & (x.upper > 0)
        low = torch.where(crosses, low.clamp(max=0), low)
        high = torch.where(crosses, high.clamp(min=0), high)
        # One rounding, where the slope is not a power of two.
        exact = (self.slope == 0) | (self.slope.abs() == 1)
        error = torch.where(exact, 0.0, torch.maximum(low.abs(), high.abs()) * 2.0**-51 + TINY)
        return Interval(low - error, high + error)

    def lines(self, x: Interval, slopes: Slopes) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Choose a line below and a line above.

        Args:
            x: Enclosure of the input.
            slopes: "parallel" gives the line below the slope of the chord, "adaptive" 1 or s, whichever leaves the
                smaller area between the lines.

        Returns:
            Slope and intercept of the lower line, slope and intercept of the upper line, `(N, *shape)` each.
        """
        low, high, s = x.lower, x.upper, self.slope
        one = torch.ones_like(low)
        chord = ((high - s * low) / (high - low)).clamp(torch.minimum(s, one), torch.maximum(s, one))
        # Without a kink inside, both lines are the function.
        passes, stops = low >= 0, high <= 0
        stable = passes | stops
        fixed = torch.where(passes, one, s.expand_as(low))
        chord = torch.where(stable, fixed, chord)
        gap = torch.maximum((chord - s).abs() * -low, (1 - chord).abs() * high) * (1 + gamma(4)) + TINY
        gap = torch.where(stable, 0.0, gap)
        line = chord if slopes == "parallel" else torch.where(stable, fixed, torch.where(high > -low, one, s))
        zero, convex = torch.zeros_like(gap), s <= 1
        return (
            torch.where(convex, line, chord),
            torch.where(convex, zero, -gap),
            torch.where(convex, chord, line),
            torch.where(convex, gap, zero),
        )

    @override
    def linearise(self, inputs: list[Interval], slopes: Slopes) -> Linearised:
        below, below_at_0, above, above_at_0 = (t[:, None] for t in self.lines(inputs[0], slopes))
        always_below = bool((below_at_0 == 0).all())

        def pull(a: Tensor) -> tuple[list[Tensor], Tensor | None]:
            # One of the two parts of each coefficient is 0, so that the product is rounded once.
            positive, negative = a.clamp(min=0), a.clamp(max=0)
            image = (positive * below).addcmul_(negative, above)
            constant = _inner(negative, above_at_0)
            return [image], constant if always_below else constant + _inner(positive, below_at_0)

        steepest = torch.maximum(below.abs(), above.abs())[:, 0]
        furthest = torch.maximum(below_at_0.abs(), above_at_0.abs())[:, 0]
        return Linearised(pull, (steepest * inputs[0].size + furthest) * SLACK + TINY, 4)


def _inner(a: Tensor, numbers: Tensor) -> Tensor:
    # (N or 1, R, *shape) with (N, 1, *shape) to (N, R).
    return (a.flatten(2) @ numbers.flatten(2).mT)[:, :, 0]


@dataclass(frozen=True, eq=False)
class Maximum(Step):
    """The largest entry of each window.

    It is at least any single entry, of which the one with the largest lower bound is taken, and at most the largest
    upper bound; where that entry's lower bound exceeds all other upper bounds it is the maximum.

    Attributes:
        windows: `(W, K)` positions in the flattened last axes; windows with fewer than K repeat one.
        axes: How many last axes.
    """

    windows: Tensor = field(default_factory=lambda: torch.zeros(0, 0, dtype=torch.int64))
    axes: int = 2

    def _entries(self, x: Tensor) -> Tensor:
        return x.flatten(-self.axes)[..., self.windows]

    @override
    def enclose(self, inputs: list[Interval]) -> Interval:
        shape = (len(inputs[0].lower), *self.shape)
        lower, upper = (self._entries(x).amax(-1).reshape(shape) for x in (inputs[0].lower, inputs[0].upper))
        return Interval(lower, upper)

    @override
    def linearise(self, inputs: list[Interval], slopes: Slopes) -> Linearised:
        lower, upper = self._entries(inputs[0].lower), self._entries(inputs[0].upper)
        chosen = lower.argmax(-1, keepdim=True)
        position = self.windows.expand(lower.shape).gather(-1, chosen)
        rival = torch.where(self.windows == position, -torch.inf, upper).amax(-1)
        decided = lower.gather(-1, chosen)[..., 0] >= rival
        above = torch.where(decided, 0.0, upper.amax(-1))[:, None]
        position, decided = position[..., 0][:, None], decided[:, None]
        sides = inputs[0].lower.shape[-self.axes :]

        def pull(a: Tensor) -> tuple[list[Tensor], Tensor | None]:
            flat = a.flatten(-self.axes).expand(len(above), *[-1] * (a.dim() - self.axes))
            takes = decided | (flat > 0)
            image = torch.zeros(*flat.shape[:-1], sides.numel(), dtype=a.dtype)
            image.scatter_add_(-1, position.expand(flat.shape), torch.where(takes, flat, 0.0))
            constant = torch.where(takes, 0.0, flat * above).flatten(2).sum(2)
            return [image.unflatten(-1, sides)], constant

        size = self._entries(inputs[0].size).amax(-1).reshape(-1, *self.shape)
        return Linearised(pull, size * SLACK + TINY, len(self.windows) + 2)
