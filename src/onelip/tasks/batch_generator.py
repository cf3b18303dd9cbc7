"""Random numbers of a training step that a resumed training draws again."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from onelip.data.share import Piece


class BatchGenerator:
    """Sources of random numbers that are a pure function of (seed, purpose, epoch, batch).

    Args:
        seed: At least 0.
        purpose: Tells these numbers from others of the same seed, epoch and batch.

    Attributes:
        piece: Which images of the batch this process has; None for all.

    Raises:
        ValueError: The seed is negative.
    """

    def __init__(self, seed: int, purpose: int) -> None:
        if seed < 0:
            raise ValueError(f"seed={seed} of random numbers in a training must be at least 0")
        self.seed = seed
        self._purpose = purpose
        self._place: tuple[int, int] | None = None
        self.piece: Piece | None = None

    def set_batch(self, epoch: int, batch: int, piece: Piece | None = None) -> None:
        """Say which numbers come next.

        Args:
            epoch: Counted from 0.
            batch: Number of the batch in the epoch.
            piece: Which images of the batch this process has; None for all.
        """
        self._place, self.piece = (epoch, batch), piece

    def normal(self, shape: tuple[int, ...], like: Tensor) -> Tensor:
        """Draw normal numbers for each image, those of the whole batch in each process.

        Args:
            shape: `(N, ...)`, N the images of this process.
            like: Says of which type and where.

        Returns:
            Numbers of this shape.
        """
        n = shape[0] if self.piece is None else self.piece.n
        drawn = torch.randn((n, *shape[1:]), generator=self.on(like.device), device=like.device, dtype=like.dtype)
        return drawn if self.piece is None else drawn[self.piece.places]

    def on(self, device: torch.device) -> torch.Generator | None:
        """Make the source of the batch's numbers.

        Args:
            device: Where they are wanted.

        Returns:
            A new generator in the same state each time; None for torch's own, before the first `set_batch`.
        """
        if self._place is None:
            return None
        words = np.random.SeedSequence([self.seed, *self._place, self._purpose]).generate_state(1, np.uint64)
        return torch.Generator(device).manual_seed(int(words[0]))
