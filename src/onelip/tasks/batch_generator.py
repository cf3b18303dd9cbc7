"""Random numbers of a training step that a resumed training draws again."""

from __future__ import annotations

import numpy as np
import torch


class BatchGenerator:
    """Sources of random numbers that are a pure function of (seed, purpose, epoch, batch).

    Args:
        seed: At least 0.
        purpose: Tells these numbers from others of the same seed, epoch and batch.

    Raises:
        ValueError: The seed is negative.
    """

    def __init__(self, seed: int, purpose: int) -> None:
        if seed < 0:
            raise ValueError(f"seed={seed} of random numbers in a training must be at least 0")
        self.seed = seed
        self._purpose = purpose
        self._place: tuple[int, int] | None = None

    def set_batch(self, epoch: int, batch: int) -> None:
        """Say which numbers come next.

        Args:
            epoch: Counted from 0.
            batch: Number of the batch in the epoch.
        """
        self._place = epoch, batch

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
