"""Batches of images that are decoded while the batches before are in use."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from typing_extensions import override

from onelip.data.augment import Augment
from onelip.data.batch_sequence import Batch, BatchSequence, fill_colour
from onelip.data.share import Share
from onelip.data.streamed import ChooseBox, StreamedImages

# Of each image by its place in the data, beside the streams of `BatchSequence`.
_BOXES = 5


@dataclass(frozen=True, eq=False)
class _Pending:
    """A batch that threads are filling.

    Attributes:
        number: Its number in the epoch.
        images: `(B, C, H, W)` uint8.
        labels: `(B,)` int64.
        futures: One for each image; done when it is decoded.
    """

    number: int
    images: Tensor
    labels: Tensor
    futures: list[Future[None]]


class StreamedBatches(BatchSequence):
    """Iterate over images on disk in batches of `(pixels, labels)`, on a device, like `Batches`.

    Threads decode the next batches while one is in use; no more than `ahead + 1` of them are in memory. Random-resized
    crops are cut from the whole image while it is decoded, not from its centre; all other changes are made to the batch
    on its device. The order of the images depends on (seed, epoch) alone, the part that is cut from an image on (seed,
    epoch, place of the image in the data), the other changes on (seed, epoch, batch), not on threads or on what was
    read before.

    Args:
        data: The images.
        batch_size: Images in a batch, >= 1; the last one may have fewer.
        shuffle: Draw a new order in each epoch; else keep the order of the data.
        augment: Random changes to the images; None for none.
        seed: Seed of order and changes, >= 0.
        device: Where the batches go.
        drop_last: Leave out a last batch that is not full.
        ahead: How many batches are decoded in advance, >= 1.
        share: What this process takes of each batch; by default all. Other images are not decoded.

    Attributes:
        epoch: The epoch that iteration reads, 0 at first; it changes by `set_epoch` only.

    Raises:
        ValueError: An argument is out of range, or no batch is left.
    """

    def __init__(
        self,
        data: StreamedImages,
        batch_size: int,
        *,
        shuffle: bool,
        augment: Augment | None = None,
        seed: int = 0,
        device: str | torch.device = "cpu",
        drop_last: bool = False,
        ahead: int = 2,
        share: Share | None = None,
    ) -> None:
        super().__init__(len(data), batch_size, shuffle=shuffle, seed=seed, drop_last=drop_last, share=share)
        if not isinstance(ahead, int) or ahead < 1:
            raise ValueError(f"ahead={ahead!r} in StreamedBatches must be a number of batches, an integer >= 1")
        self.data = data
        self.augment = augment or Augment()
        self.device = torch.device(device)
        self.ahead = ahead
        self._crop = self.augment.resized_crop
        self._rest = replace(self.augment, resized_crop=None)
        colour = fill_colour(self._rest, data, scale=data.scale, whole=True)
        self._colour = None if colour is None else colour.to(self.device, torch.uint8)

    @override
    def _read(self, first: int) -> Iterator[Batch]:
        epoch, waiting = self.epoch, deque[_Pending]()
        pool = ThreadPoolExecutor(self.data.n_threads)
        try:
            for number in range(first, len(self)):
                waiting.append(self._start(pool, epoch, number))
                if len(waiting) > self.ahead:
                    yield self._finish(epoch, waiting.popleft())
            while waiting:
                yield self._finish(epoch, waiting.popleft())
        finally:
            # Also when the epoch is left early, or after an error: what is not begun is not decoded.
            pool.shutdown(wait=True, cancel_futures=True)

    @override
    def _batch(self, epoch: int, number: int) -> Batch:
        with ThreadPoolExecutor(self.data.n_threads) as pool:
            return self._finish(epoch, self._start(pool, epoch, number))

    def _start(self, pool: ThreadPoolExecutor, epoch: int, number: int) -> _Pending:
        members = self._members(epoch, number)[self.piece(number).places]
        images = torch.empty((len(members), *self.data.shape), dtype=torch.uint8, pin_memory=self.device.type == "cuda")
        futures = [pool.submit(self._decode, images[i], epoch, member) for i, member in enumerate(members.tolist())]
        return _Pending(number, images, self.data.labels[members], futures)

    def _decode(self, image: Tensor, epoch: int, member: int) -> None:
        pixels = self.data.read(member, self._box(epoch, member))
        image.numpy()[:] = pixels.transpose(2, 0, 1)

    def _box(self, epoch: int, member: int) -> ChooseBox | None:
        crop = self._crop
        if crop is None:
            return None
        rng = np.random.default_rng([self.seed, epoch, _BOXES, member])

        def choose(height: int, width: int) -> tuple[int, int, int, int]:
            top, left, box_height, box_width = crop.boxes(1, height, width, rng)[:, 0].tolist()
            return top, left, box_height, box_width

        return choose

    def _finish(self, epoch: int, pending: _Pending) -> Batch:
        for future in pending.futures:
            future.result()
        images, labels = (tensor.to(self.device, non_blocking=True) for tensor in (pending.images, pending.labels))
        rng = self._rng(epoch, pending.number, self.piece(pending.number))
        return self._rest.apply(images, rng, scale=self.data.scale, colour=self._colour), labels
