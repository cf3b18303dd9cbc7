"""Normal distributions with independent coordinates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from onelip.transport.sampler import check_positive, coordinates


@dataclass(frozen=True)
class Gaussian:
    """Normal with independent coordinates.

    Args:
        mean: `(d,)`; a number is a mean on the line.
        std: > 0, one number for all coordinates or `(d,)`.

    Raises:
        ValueError: An argument is not allowed.
    """

    mean: float | Sequence[float]
    std: float | Sequence[float] = 1.0

    def __post_init__(self) -> None:
        mean, std = coordinates("Gaussian", "mean", self.mean), coordinates("Gaussian", "std", self.std)
        if len(std) not in (1, len(mean)):
            raise ValueError(f"std in Gaussian has {len(std)} numbers; it must have one, or {len(mean)} as mean does")
        for value in std:
            check_positive("Gaussian", std=value)
        object.__setattr__(self, "mean", mean)
        object.__setattr__(self, "std", std if len(std) == len(mean) else std * len(mean))

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one sample."""
        return (len(coordinates("Gaussian", "mean", self.mean)),)

    def __call__(self, n: int, generator: torch.Generator) -> Tensor:
        """Draw independent samples.

        Args:
            n: How many.
            generator: Where all randomness comes from.

        Returns:
            `(n, d)`, float64.
        """
        mean, std = (torch.tensor(v, dtype=torch.float64, device=generator.device) for v in (self.mean, self.std))
        noise = torch.randn(n, *self.shape, generator=generator, device=generator.device, dtype=torch.float64)
        return mean + std * noise
