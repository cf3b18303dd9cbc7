"""Batches whose content is a pure function of the seed, the epoch and the batch's number."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from onelip.data.augment import Augment
from onelip.data.generated import Generated
from onelip.data.images import ImageData
from onelip.data.shuffles import Shuffles

# Different purposes draw from independent streams.
_ORDER, _CHANGES, _POOL, _POOL_CHANGES = 1, 2, 3, 4


class Batches:
    """Iterate over images in batches of `(pixels, labels)`, on a device.

    The order of the images depends on (seed, epoch) alone and the changes to a batch on (seed, epoch, batch) alone, not
    on what was read before: a training that is interrupted and resumed sees exactly the numbers it would have seen. All
    random numbers are drawn on the CPU, so every device sees the same batches.

    With a pool of generated images, a batch holds batch_size / (1 + ratio) real images, rounded, and then generated
    ones; an epoch is still a pass over the real images. The pool is gone through in an order of its own, each image
    once before any returns, and each epoch goes on where the one before ended.

    Args:
        data: The images; moved to the device once.
        batch_size: Images in a batch, >= 1, generated ones included; the last one may have fewer.
        shuffle: Draw a new order in each epoch; else keep the order of the data.
        augment: Random changes to the images; None for none.
        seed: Seed of order and changes, >= 0.
        device: Where the images are kept and the batches made.
        drop_last: Leave out a last batch that is not full.
        generated: Images to mix in; None for none.

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
        generated: Generated | None = None,
    ) -> None:
        if not isinstance(batch_size, int) or batch_size < 1:
            raise ValueError(f"batch_size={batch_size!r} in Batches must be an integer >= 1")
        if seed < 0:
            raise ValueError(f"seed={seed} in Batches is negative; it must be >= 0")
        n_real = batch_size if generated is None else generated.real_images(batch_size)
        if len(data) == 0 or (drop_last and len(data) < n_real):
            raise ValueError(f"batch_size={batch_size} leaves no batch of {len(data)} images; take a smaller one")
        self.data = data.to(device)
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.augment = augment or Augment()
        self.seed = seed
        self.drop_last = drop_last
        self.generated = generated
        self.epoch = 0
        self._n_real = n_real
        self._shuffles = Shuffles(len(data), seed, _ORDER, self.data.labels.device)
        self._colour = _fill_colour(self.augment, self.data, self.data)
        if generated is not None:
            self._prepare_pool(generated)

    def _prepare_pool(self, generated: Generated) -> None:
        shape, expected = tuple(generated.data.images.shape[1:]), tuple(self.data.images.shape[1:])
        if shape != expected:
            raise ValueError(f"generated has images of shape {shape} in Batches; the real ones have shape {expected}")
        self._pool_shuffles = Shuffles(len(generated.data), self.seed, _POOL)
        self._pool_augment = generated.augment or self.augment
        self._pool_colour = _fill_colour(self._pool_augment, self.data, generated.data)

    def __len__(self) -> int:
        n = len(self.data)
        return n // self._n_real if self.drop_last else -(-n // self._n_real)

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
        first, last = number * self._n_real, min((number + 1) * self._n_real, len(self.data))
        index = self._shuffles.order(epoch)[first:last] if self.shuffle else torch.arange(first, last)
        index = index.to(self.data.labels.device)
        images, labels = self.data.images[index], self.data.labels[index]
        rng = np.random.default_rng([self.seed, epoch, _CHANGES, number])
        pixels = self.augment.apply(images, rng, scale=self.data.scale, colour=self._colour)
        if self.generated is None:
            return pixels, labels
        more_pixels, more_labels = self._generated_part(self.generated, epoch, number)
        return torch.cat([pixels, more_pixels]), torch.cat([labels, more_labels])

    def _generated_part(self, generated: Generated, epoch: int, number: int) -> tuple[Tensor, Tensor]:
        first, last = self._n_generated(number), self._n_generated(number + 1)
        place = epoch * self._n_generated(len(self)) + first
        index = self._pool_shuffles.run(place, last - first)
        images, labels = generated.take(index, self.data.images.device)
        rng = np.random.default_rng([self.seed, epoch, _POOL_CHANGES, number])
        scale = generated.data.scale
        return self._pool_augment.apply(images, rng, scale=scale, colour=self._pool_colour), labels

    # Generated images in the first batches of an epoch; a last batch that is not full keeps the proportion.
    def _n_generated(self, n_batches: int) -> int:
        n_real = min(n_batches * self._n_real, len(self.data))
        return (2 * n_real * (self.batch_size - self._n_real) + self._n_real) // (2 * self._n_real)


# In stored values of the images it fills, so rounded for bytes: shifts then copy bytes.
def _fill_colour(augment: Augment, data: ImageData, filled: ImageData) -> Tensor | None:
    if augment.fill != "mean" or not augment.active:
        return None
    stored = torch.tensor(data.channel_mean(), dtype=torch.float64) * filled.scale
    stored = stored.round() if filled.images.dtype == torch.uint8 else stored
    return stored.to(dtype=filled.images.dtype, device=data.images.device)
