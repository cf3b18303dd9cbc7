"""Uniform distributions on spheres."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from onelip.transport.sampler import check_counts, check_positive, points


@dataclass(frozen=True)
class SphericalShells:
    """Uniform on spheres of one radius around centres that are equally likely; on a line, the two points at +-radius.

    Args:
        centers: `(k, d)`, all different.
        radius: > 0.
        empty_dim: So many coordinates of zero follow those of the point.
        grid: `(H, W)` with H W = d + `empty_dim` gives samples the shape of an image with one channel.

    Raises:
        ValueError: An argument is not allowed.

    Paper: Anil, Lucas and Grosse 2019, arXiv:1811.05381, section 6.1.
    """

    centers: Sequence[Sequence[float]]
    radius: float
    empty_dim: int = 0
    grid: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "centers", points("SphericalShells", "centers", self.centers))
        if len(set(map(tuple, self.centers))) < len(self.centers):
            raise ValueError(f"centers={self.centers} in SphericalShells has a centre twice")
        check_positive("SphericalShells", radius=self.radius)
        check_counts("SphericalShells", 0, empty_dim=self.empty_dim)
        size = len(self.centers[0]) + self.empty_dim
        if self.grid is not None:
            object.__setattr__(self, "grid", tuple(self.grid))
            if len(self.grid) != 2 or min(self.grid) < 1 or math.prod(self.grid) != size:
                raise ValueError(f"grid={self.grid} in SphericalShells must be (H, W) with H * W = {size} coordinates")

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one sample."""
        return (len(self.centers[0]) + self.empty_dim,) if self.grid is None else (1, *self.grid)

    def __call__(self, n: int, generator: torch.Generator) -> Tensor:
        """Draw independent samples.

        Args:
            n: How many.
            generator: Where all randomness comes from.

        Returns:
            `(n, *shape)`, float64.
        """
        centers = torch.tensor(self.centers, dtype=torch.float64, device=generator.device)
        chosen = torch.randint(len(centers), (n,), generator=generator, device=generator.device)
        normal = torch.randn(n, centers.shape[1], generator=generator, device=generator.device, dtype=torch.float64)
        x = centers[chosen] + self.radius * normal / normal.norm(dim=1, keepdim=True)
        return torch.nn.functional.pad(x, (0, self.empty_dim)).view(n, *self.shape)
