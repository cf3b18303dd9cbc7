"""Batches whose content is a pure function of the seed, the epoch and the batch's number."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor
from typing_extensions import override

from onelip.data.augment import Augment
from onelip.data.batch_sequence import Batch, BatchSequence, fill_colour
from onelip.data.generated import Generated
from onelip.data.images import ImageData, to_pixels
from onelip.data.share import Piece, PieceOfDraws, Share
from onelip.data.shuffles import Shuffles

# Beside the streams of `BatchSequence`.
_POOL, _POOL_CHANGES = 3, 4


class Batches(BatchSequence):
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
        share: What this process takes of each batch; by default all.

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
        share: Share | None = None,
    ) -> None:
        n_real = batch_size if generated is None else generated.real_images(batch_size)
        super().__init__(
            len(data), batch_size, n_taken=n_real, shuffle=shuffle, seed=seed, drop_last=drop_last, share=share
        )
        self.data = data.to(device)
        self.augment = augment or Augment()
        self.generated = generated
        self._colour = self._fill_colour(self.augment, self.data)
        if generated is not None:
            self._prepare_pool(generated)

    def _prepare_pool(self, generated: Generated) -> None:
        shape, expected = tuple(generated.data.images.shape[1:]), tuple(self.data.images.shape[1:])
        if shape != expected:
            raise ValueError(f"generated has images of shape {shape} in Batches; the real ones have shape {expected}")
        self._pool_shuffles = Shuffles(len(generated.data), self.seed, _POOL)
        self._pool_augment = generated.augment or self.augment
        self._pool_colour = self._fill_colour(self._pool_augment, generated.data)

    @override
    def _read(self, first: int) -> Iterator[Batch]:
        epoch = self.epoch
        for number in range(first, len(self)):
            yield self._batch(epoch, number)

    @override
    def _batch(self, epoch: int, number: int) -> Batch:
        members = self._members(epoch, number)
        piece, n_real = self.piece(number), len(members)
        real = piece.within(0, n_real)
        index = members[real.places].to(self.data.labels.device)
        images, labels = self.data.images[index], self.data.labels[index]
        rng = self._rng(epoch, number, real)
        pixels = _changed(self.augment, images, rng, self.data.scale, self._colour)
        if self.generated is None:
            return pixels, labels
        more_pixels, more_labels = self._generated_part(self.generated, epoch, number, piece.within(n_real, piece.n))
        return torch.cat([pixels, more_pixels]), torch.cat([labels, more_labels])

    def _generated_part(self, generated: Generated, epoch: int, number: int, piece: Piece) -> tuple[Tensor, Tensor]:
        place = epoch * self._n_generated(len(self)) + self._n_generated(number)
        index = self._pool_shuffles.run(place, piece.n)[piece.places]
        images, labels = generated.take(index, self.data.images.device)
        rng = PieceOfDraws(np.random.default_rng([self.seed, epoch, _POOL_CHANGES, number]), piece)
        return _changed(self._pool_augment, images, rng, generated.data.scale, self._pool_colour), labels

    @override
    def _n_in(self, number: int) -> int:
        n_generated = self._n_generated(number + 1) - self._n_generated(number)
        return super()._n_in(number) + n_generated

    # Generated images in the first batches of an epoch; a last batch that is not full keeps the proportion.
    def _n_generated(self, n_batches: int) -> int:
        n_real = min(n_batches * self.n_taken, len(self.data))
        return (2 * n_real * (self.batch_size - self.n_taken) + self.n_taken) // (2 * self.n_taken)

    # The mean of the real images in stored values of those that it fills.
    def _fill_colour(self, augment: Augment, filled: ImageData) -> Tensor | None:
        images = filled.images
        colour = fill_colour(augment, self.data, scale=filled.scale, whole=images.dtype == torch.uint8)
        return None if colour is None else colour.to(dtype=images.dtype, device=self.data.images.device)


# A process may have only real or only generated images of a batch.
def _changed(augment: Augment, images: Tensor, rng: np.random.Generator, scale: float, colour: Tensor | None) -> Tensor:
    return augment.apply(images, rng, scale=scale, colour=colour) if len(images) else to_pixels(images, scale)
