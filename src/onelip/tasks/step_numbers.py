"""Batches that depend on nothing but the number of the step, for tasks that draw their own samples."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch


class StepNumbers:
    """The numbers of a training's steps, from 0 on, divided into epochs of the same length.

    What a step draws depends on its number alone, so that a training which was interrupted goes on to the same numbers.

    Args:
        n_steps: Steps of the whole training.
        n_in_epoch: Steps of an epoch, a divisor of them.
        batch: Makes the batch of a step from its number; by default that number is the batch.

    Attributes:
        n_epochs: Number of epochs.

    Raises:
        ValueError: One of them is less than 1, or the second does not divide the first.
    """

    def __init__(self, n_steps: int, n_in_epoch: int, batch: Callable[[int], Any] = torch.tensor) -> None:
        for name, value in (("n_steps", n_steps), ("n_in_epoch", n_in_epoch)):
            if value < 1:
                raise ValueError(f"{name}={value} in StepNumbers must be at least 1")
        if n_steps % n_in_epoch:
            raise ValueError(f"n_steps={n_steps} in StepNumbers must be a multiple of n_in_epoch={n_in_epoch}")
        self._n_in_epoch = n_in_epoch
        self.n_epochs = n_steps // n_in_epoch
        self._batch = batch
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch that is passed over next.

        Args:
            epoch: Counted from 0.
        """
        self._epoch = epoch

    def __len__(self) -> int:
        return self._n_in_epoch

    def __iter__(self) -> Iterator[Any]:
        begin = self._epoch * self._n_in_epoch
        return (self._batch(step) for step in range(begin, begin + self._n_in_epoch))
