"""Distributions made of others."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from onelip.transport.sampler import Distribution, coordinates, draw, probabilities


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
        x = draw(self.base, n, generator, "base in Translated")
        return x + torch.tensor(self.vector, dtype=x.dtype, device=x.device).view(self.shape)


@dataclass(frozen=True)
class Mixture:
    """One of several distributions, chosen at random for each sample.

    Args:
        parts: At least one, all of one shape.
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
