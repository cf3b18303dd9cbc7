"""Distributions on finitely many points."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from onelip.transport.sampler import points, probabilities


@dataclass(frozen=True)
class PointMasses:
    """Some points, each with a probability.

    Args:
        points: `(k, d)`.
        weights: `(k,)`, at least 0, of any positive sum; equal by default.

    Raises:
        ValueError: An argument is not allowed.
    """

    points: Sequence[Sequence[float]]
    weights: Sequence[float] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "points", points("PointMasses", "points", self.points))
        object.__setattr__(self, "weights", probabilities("PointMasses", self.weights, len(self.points)))

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one sample."""
        return (len(self.points[0]),)

    def __call__(self, n: int, generator: torch.Generator) -> Tensor:
        """Draw independent samples.

        Args:
            n: How many.
            generator: Where all randomness comes from.

        Returns:
            `(n, d)`, float64.
        """
        where, weights = (
            torch.tensor(v, dtype=torch.float64, device=generator.device) for v in (self.points, self.weights)
        )
        return where[torch.multinomial(weights, n, replacement=True, generator=generator)]


@dataclass(frozen=True, eq=False)
class Samples:
    """A fixed finite set of samples, such as the images of a data set or of a trained generator.

    With replacement samples are independent draws of the set itself. Without it, a measurement takes no sample twice:
    if the set was drawn independently from a larger population, what is measured is about that population.

    Args:
        x: `(N, *shape)`, floating point.
        replacement: May one batch, or one measurement, have a sample twice?

    Raises:
        ValueError: `x` is no batch of finite floats.
    """

    x: Tensor
    replacement: bool = True

    def __post_init__(self) -> None:
        if self.x.ndim < 2 or 0 in self.x.shape or not self.x.is_floating_point():
            raise ValueError(f"x in Samples is {tuple(self.x.shape)} of {self.x.dtype}; it must be floats (N, *shape)")
        if not self.x.isfinite().all():
            raise ValueError("x in Samples must be finite, and has infinity or NaN")

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one sample."""
        return tuple(self.x.shape[1:])

    def __call__(self, n: int, generator: torch.Generator) -> Tensor:
        """Draw samples.

        Args:
            n: How many; without replacement at most N.
            generator: Where all randomness comes from.

        Returns:
            `(n, *shape)`, on the device and in the precision of `x`.
        """
        return self.x[self._places(n, generator)]

    def passes(self, n: int, batch_size: int, generator: torch.Generator) -> Iterator[Tensor]:
        """Draw samples in batches; without replacement none is in two of them.

        Args:
            n: How many in all; without replacement at most N.
            batch_size: Largest batch.
            generator: Where all randomness comes from.

        Yields:
            The batches.
        """
        for places in self._places(n, generator).split(batch_size):
            yield self.x[places]

    def _places(self, n: int, generator: torch.Generator) -> Tensor:
        return draw_places(len(self.x), n, self.replacement, generator, "Samples").to(self.x.device)


def draw_places(size: int, n: int, replacement: bool, generator: torch.Generator, owner: str) -> Tensor:
    """Choose members of a finite set.

    Args:
        size: How many it has.
        n: How many to choose.
        replacement: May one be chosen twice?
        generator: Where all randomness comes from.
        owner: Class that the set is of, for the message.

    Returns:
        `(n,)` positions, int64, on the device of the generator.

    Raises:
        ValueError: Without replacement, more are wanted than there are.
    """
    if replacement:
        return torch.randint(size, (n,), generator=generator, device=generator.device)
    if n > size:
        raise ValueError(f"{n} samples are wanted of {size} in {owner}(replacement=False); allow replacement")
    return torch.randperm(size, generator=generator, device=generator.device)[:n]
