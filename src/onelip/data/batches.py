"""Batches whose content is a pure function of the seed, the epoch and the batch's number."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from onelip.data.augment import Augment
from onelip.data.images import ImageData

# Different purposes draw from independent streams.
_ORDER, _CHANGES = 1, 2


class Batches:
    """Iterate over images in batches of `(pixels, labels)`, on a device.

    The order of the images depends on (seed, epoch) alone and the changes to a batch on (seed, epoch, batch) alone, not
    on what was read before: a training that is interrupted and resumed sees exactly the numbers it would have seen. All
    random numbers are drawn on the CPU, so every device sees the same batches.

    Args:
        data: The images; moved to the device once.
        batch_size: Images in a batch, >= 1; the last one may have fewer.
        shuffle: Draw a new order in each epoch; else keep the order of the data.
        augment: Random changes to the images; None for none.
        seed: Seed of order and changes, >= 0.
        device: Where the images are kept and the batches made.
        drop_last: Leave out a last batch that is not full.

    Attributes:
        epoch: The epoch that iteration reads, 0 at first; it changes by `set_epoch` only.

    Raises:
        ValueError: An argument is out of range, or no batch is left.
    """

    def __init__(
        self,
        data: ImageData,
        batch_size: int,
        *,
        shuffle: bool,
        augment: Augment | None = None,
        seed: int = 0,
        device: str | torch.device = "cpu",
        drop_last: bool = False,
    ) -> None:
        if not isinstance(batch_size, int) or batch_size < 1:
            raise ValueError(f"batch_size={batch_size!r} in Batches must be an integer >= 1")
        if seed < 0:
            raise ValueError(f"seed={seed} in Batches is negative; it must be >= 0")
        if len(data) == 0 or (drop_last and len(data) < batch_size):
            raise ValueError(f"batch_size={batch_size} leaves no batch of {len(data)} images; take a smaller one")
        self.data = data.to(device)
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.augment = augment or Augment()
        self.seed = seed
        self.drop_last = drop_last
        self.epoch = 0
        self._cached_order: tuple[int, Tensor] | None = None
        self._colour = _mean_colour(self.data) if self.augment.fill == "mean" and self.augment.active else None

    def __len__(self) -> int:
        n = len(self.data)
        return n // self.batch_size if self.drop_last else -(-n // self.batch_size)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        return self.from_batch(0)

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch that is read next.

        Args:
            epoch: Its number, >= 0.

        Raises:
            ValueError: It is negative.
        """
        if epoch < 0:
            raise ValueError(f"epoch={epoch} in Batches.set_epoch is negative; it must be >= 0")
        self.epoch = epoch

    def from_batch(self, first: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Iterate over the rest of the epoch.

        Args:
            first: Number of the first batch to read.

        Yields:
            `(pixels, labels)`: `(B, C, H, W)` float32 in [0, 1] and `(B,)` int64.
        """
        epoch = self.epoch
        for batch in range(first, len(self)):
            yield self._batch(epoch, batch)

    def batch(self, number: int) -> tuple[Tensor, Tensor]:
        """Make one batch of the current epoch.

        Args:
            number: Which, from 0.

        Returns:
            `(pixels, labels)`: `(B, C, H, W)` float32 in [0, 1] and `(B,)` int64.

        Raises:
            IndexError: There is no such batch.
        """
        if not 0 <= number < len(self):
            raise IndexError(f"number={number} in Batches.batch must lie in 0..{len(self) - 1}")
        return self._batch(self.epoch, number)

    def _batch(self, epoch: int, number: int) -> tuple[Tensor, Tensor]:
        rows = slice(number * self.batch_size, (number + 1) * self.batch_size)
        index = self._order(epoch)[rows]
        images, labels = self.data.images[index], self.data.labels[index]
        rng = np.random.default_rng([self.seed, epoch, _CHANGES, number])
        return self.augment.apply(images, rng, scale=self.data.scale, colour=self._colour), labels

    def _order(self, epoch: int) -> Tensor:
        if self._cached_order is None or self._cached_order[0] != epoch:
            n = len(self.data)
            rng = np.random.default_rng([self.seed, epoch, _ORDER])
            order = torch.from_numpy(rng.permutation(n)) if self.shuffle else torch.arange(n)
            self._cached_order = epoch, order.to(self.data.labels.device)
        return self._cached_order[1]


# In stored values, so rounded for bytes: shifts then copy bytes.
def _mean_colour(data: ImageData) -> Tensor:
    stored = torch.tensor(data.channel_mean(), dtype=torch.float64) * data.scale
    stored = stored.round() if data.images.dtype == torch.uint8 else stored
    return stored.to(dtype=data.images.dtype, device=data.images.device)
