"""What generators make images of: independent random numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

Law = Literal["uniform", "normal"]
"""Uniform on [0, 1), as published for InfoGAN's shape, or standard normal."""


@dataclass(frozen=True)
class Latent:
    """Independent numbers, drawn for each image; call it as `latent(n, generator)`.

    Attributes:
        size: How many numbers an image is made of.
        law: "uniform" on [0, 1) or "normal".

    Raises:
        ValueError: The size is no positive integer, or the law is unknown.
    """

    size: int = 62
    law: Law = "uniform"

    def __post_init__(self) -> None:
        if not isinstance(self.size, int) or isinstance(self.size, bool) or self.size < 1:
            raise ValueError(f"size={self.size!r} in Latent must be an integer >= 1")
        if self.law not in get_args(Law):
            raise ValueError(f"law={self.law!r} in Latent must be one of {', '.join(map(repr, get_args(Law)))}")

    def __call__(self, n: int, generator: torch.Generator) -> Tensor:
        """Draw the numbers of some images.

        Args:
            n: How many images.
            generator: Source of the numbers, whose device they are on.

        Returns:
            `(n, size)` float32.
        """
        draw = torch.rand if self.law == "uniform" else torch.randn
        return draw(n, self.size, generator=generator, device=generator.device)
