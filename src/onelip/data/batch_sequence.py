"""What all batches have in common: their order, where a pass over them begins, and which arguments are refused."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor

from onelip.data.augment import Augment
from onelip.data.images import Images
from onelip.data.share import Piece, PieceOfDraws, Share
from onelip.data.shuffles import Shuffles

Batch: TypeAlias = tuple[Tensor, Tensor]
"""`(pixels, labels)`: `(B, C, H, W)` float32 in [0, 1] and `(B,)` int64."""

# Different purposes draw from independent streams.
_ORDER, _CHANGES = 1, 2


class BatchSequence(ABC):
    """Numbered batches whose order is a pure function of the seed and the epoch.

    Args:
        n_images: How many images there are.
        batch_size: Images in a batch, >= 1; the last one may have fewer.
        n_taken: How many of them are of these images; None for all.
        shuffle: Draw a new order in each epoch; else keep the order of the data.
        seed: Seed of the order and of the changes to batches, >= 0.
        drop_last: Leave out a last batch that is not full.
        share: What this process takes of each batch; by default all.

    Attributes:
        epoch: The epoch that iteration reads, 0 at first; it changes by `set_epoch` only.

    Raises:
        ValueError: An argument is out of range, or no batch is left.
    """

    def __init__(
        self,
        n_images: int,
        batch_size: int,
        *,
        n_taken: int | None = None,
        shuffle: bool,
        seed: int,
        drop_last: bool,
        share: Share | None = None,
    ) -> None:
        kind = type(self).__name__
        if not isinstance(batch_size, int) or batch_size < 1:
            raise ValueError(f"batch_size={batch_size!r} in {kind} must be an integer >= 1")
        if seed < 0:
            raise ValueError(f"seed={seed} in {kind} is negative; it must be >= 0")
        n_taken = batch_size if n_taken is None else n_taken
        if n_images == 0 or (drop_last and n_images < n_taken):
            raise ValueError(f"batch_size={batch_size} leaves no batch of {n_images} images; take a smaller one")
        self.n_images = n_images
        self.n_taken = n_taken
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.seed = seed
        self.drop_last = drop_last
        self.share = share or Share()
        self.epoch = 0
        self._shuffles = Shuffles(n_images, seed, _ORDER)

    def __len__(self) -> int:
        return self.n_images // self.n_taken if self.drop_last else -(-self.n_images // self.n_taken)

    def __iter__(self) -> Iterator[Batch]:
        return self.from_batch(0)

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch that is read next.

        Args:
            epoch: Its number, >= 0.

        Raises:
            ValueError: It is negative.
        """
        if epoch < 0:
            raise ValueError(f"epoch={epoch} in {type(self).__name__}.set_epoch is negative; it must be >= 0")
        self.epoch = epoch

    def from_batch(self, first: int) -> Iterator[Batch]:
        """Iterate over the rest of the epoch.

        Args:
            first: Number of the first batch to read.

        Returns:
            Iterator of `(pixels, labels)`: `(B, C, H, W)` float32 in [0, 1] and `(B,)` int64. It keeps the epoch that
            was set when its first batch was read.
        """
        return self._read(first)

    def batch(self, number: int) -> Batch:
        """Make one batch of the current epoch.

        Args:
            number: Which, from 0.

        Returns:
            `(pixels, labels)`: `(B, C, H, W)` float32 in [0, 1] and `(B,)` int64.

        Raises:
            IndexError: There is no such batch.
        """
        if not 0 <= number < len(self):
            raise IndexError(f"number={number} in {type(self).__name__}.batch must lie in 0..{len(self) - 1}")
        return self._batch(self.epoch, number)

    def piece(self, number: int) -> Piece:
        """Say which images of a batch this process takes.

        Args:
            number: Of the batch, from 0.

        Returns:
            Their positions in the batch.
        """
        return self.share.of(self._n_in(number))

    @abstractmethod
    def _batch(self, epoch: int, number: int) -> Batch: ...

    @abstractmethod
    def _read(self, first: int) -> Iterator[Batch]: ...

    # Positions in the data, on the CPU.
    def _members(self, epoch: int, number: int) -> Tensor:
        first, last = number * self.n_taken, min((number + 1) * self.n_taken, self.n_images)
        return self._shuffles.order(epoch)[first:last] if self.shuffle else torch.arange(first, last)

    # Images in a batch, of all processes together.
    def _n_in(self, number: int) -> int:
        return min(self.n_taken, self.n_images - number * self.n_taken)

    # The source of all changes to a piece of the images of a batch.
    def _rng(self, epoch: int, number: int, piece: Piece) -> np.random.Generator:
        return PieceOfDraws(np.random.default_rng([self.seed, epoch, _CHANGES, number]), piece)


def fill_colour(augment: Augment, data: Images, *, scale: float, whole: bool) -> Tensor | None:
    """Say which colour uncovered pixels take.

    Args:
        augment: The changes to images.
        data: The images whose mean it may be.
        scale: The stored value of a pixel of 1.
        whole: Round to whole numbers, for images of bytes: shifts then copy bytes.

    Returns:
        `(C,)` float64 in stored values; None for black, or if nothing changes.
    """
    if augment.fill != "mean" or not augment.active:
        return None
    colour = torch.tensor(data.channel_mean(), dtype=torch.float64) * scale
    return colour.round() if whole else colour
