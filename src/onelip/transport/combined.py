"""Distributions made of others."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from onelip.transport.sampler import Distribution, batches, coordinates, draw, probabilities, with_replacement


@dataclass(frozen=True)
class Translated:
    """Another distribution, moved by a vector; its Wasserstein-1 distance to that one is the length of the vector.

    Args:
        base: What is moved.
        vector: Its coordinates in the order of a flattened sample.

    Raises:
        ValueError: The vector has another number of coordinates than a sample.
    """

    base: Distribution
    vector: Sequence[float]

    def __post_init__(self) -> None:
        vector = coordinates("Translated", "vector", self.vector)
        if len(vector) != math.prod(self.base.shape):
            shape = self.base.shape
            raise ValueError(
                f"vector in Translated has {len(vector)} coordinates; a sample of shape {shape} has others"
            )
        object.__setattr__(self, "vector", vector)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one sample."""
        return self.base.shape

    def __call__(self, n: int, generator: torch.Generator) -> Tensor:
        """Draw independent samples.

        Args:
            n: How many.
            generator: Where all randomness comes from.

        Returns:
            `(n, *shape)`.
        """
        return self._moved(draw(self.base, n, generator, "base in Translated"))

    @property
    def replacement(self) -> bool:
        """May a measurement have a sample of the base twice?"""
        return with_replacement(self.base)

    def passes(self, n: int, batch_size: int, generator: torch.Generator) -> Iterator[Tensor]:
        """Draw samples in batches; if the base is without replacement none is in two of them.

        Args:
            n: How many in all.
            batch_size: Largest batch.
            generator: Where all randomness comes from.

        Yields:
            The batches.
        """
        for x in batches(self.base, n, batch_size, generator, "base in Translated"):
            yield self._moved(x)

    def _moved(self, x: Tensor) -> Tensor:
        return x + torch.tensor(self.vector, dtype=x.dtype, device=x.device).view(self.shape)


@dataclass(frozen=True)
class Mixture:
    """One of several distributions, chosen at random for each sample.

    Args:
        parts: At least one, all of one shape; finite sets with replacement, since each batch takes as many of them as
            chance has it.
        weights: Their probabilities, at least 0, of any positive sum; equal by default.

    Raises:
        ValueError: An argument is not allowed.
    """

    parts: Sequence[Distribution]
    weights: Sequence[float] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "parts", tuple(self.parts))
        shapes = {part.shape for part in self.parts}
        if len(shapes) != 1:
            raise ValueError(f"parts in Mixture have shapes {sorted(shapes)}; they must be some, all of one shape")
        if not all(map(with_replacement, self.parts)):
            raise ValueError("parts in Mixture have Samples(replacement=False); allow replacement")
        object.__setattr__(self, "weights", probabilities("Mixture", self.weights, len(self.parts)))

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one sample."""
        return self.parts[0].shape

    def __call__(self, n: int, generator: torch.Generator) -> Tensor:
        """Draw independent samples.

        Args:
            n: How many.
            generator: Where all randomness comes from.

        Returns:
            `(n, *shape)`.
        """
        weights = torch.tensor(self.weights, dtype=torch.float64, device=generator.device)
        chosen = torch.multinomial(weights, n, replacement=True, generator=generator)
        drawn = [draw(part, int(m), generator, "a part of Mixture") for part, m in self._counts(chosen)]
        order = torch.argsort(chosen, stable=True).to(drawn[0].device)
        together = torch.cat(drawn)
        return together.new_empty(together.shape).index_copy_(0, order, together)

    def _counts(self, chosen: Tensor) -> list[tuple[Distribution, int]]:
        counts = torch.bincount(chosen, minlength=len(self.parts)).tolist()
        return [(part, count) for part, count in zip(self.parts, counts, strict=True) if count]
