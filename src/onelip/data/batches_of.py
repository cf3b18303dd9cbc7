"""The right kind of batches for images in memory or on disk."""

from __future__ import annotations

import torch

from onelip.data.augment import Augment
from onelip.data.batch_sequence import BatchSequence
from onelip.data.batches import Batches
from onelip.data.generated import Generated
from onelip.data.images import ImageData, Images
from onelip.data.share import Share
from onelip.data.streamed import StreamedImages
from onelip.data.streamed_batches import StreamedBatches


def batches_of(
    data: Images,
    batch_size: int,
    *,
    shuffle: bool,
    augment: Augment | None = None,
    seed: int = 0,
    device: str | torch.device = "cpu",
    drop_last: bool = False,
    generated: Generated | None = None,
    share: Share | None = None,
) -> BatchSequence:
    """Make batches of images, wherever they are kept.

    Args:
        data: The images, as `load` gives them or a part of these.
        batch_size: Images in a batch, >= 1; the last one may have fewer.
        shuffle: Draw a new order in each epoch; else keep the order of the data.
        augment: Random changes to the images; None for none.
        seed: Seed of order and changes, >= 0.
        device: Where the batches go; images in memory are moved there once.
        drop_last: Leave out a last batch that is not full.
        generated: Images to mix in, with images in memory only; None for none.
        share: What this process takes of each batch; by default all.

    Returns:
        `Batches` of images in memory, `StreamedBatches` of those on disk.

    Raises:
        ValueError: An argument is out of range, or generated images are to be mixed with images on disk.
        TypeError: The images are of neither kind.
    """
    if isinstance(data, ImageData):
        return Batches(
            data,
            batch_size,
            shuffle=shuffle,
            augment=augment,
            seed=seed,
            device=device,
            drop_last=drop_last,
            generated=generated,
            share=share,
        )
    if generated is not None:
        raise ValueError("generated in batches_of is mixed with images in memory only, not with those on disk")
    if isinstance(data, StreamedImages):
        return StreamedBatches(
            data,
            batch_size,
            shuffle=shuffle,
            augment=augment,
            seed=seed,
            device=device,
            drop_last=drop_last,
            share=share,
        )
    raise TypeError(f"data of type {type(data).__name__} in batches_of must be ImageData or StreamedImages")
