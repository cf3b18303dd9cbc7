"""Data sets by name, in memory or streamed from disk, and batches of them that resume exactly.

A data set is one file with one decorated loader, imported here.
"""

# Data sets: each registers its loader when it is imported.
from onelip.data import (
    arrays,
    cifar10,
    cifar100,
    digits,
    folder,
    folder_stream,
    idx,
    imagenet,
    mnist,
    stl10,
    svhn,
    tiny_imagenet,
)

# From a data set to batches: random changes, generated images.
from onelip.data.augment import Augment
from onelip.data.batch_sequence import BatchSequence
from onelip.data.batches import Batches
from onelip.data.batches_of import batches_of
from onelip.data.color_jitter import ColorJitter
from onelip.data.download import cache_folder
from onelip.data.generated import Generated, load_generated

# What a data set is.
from onelip.data.images import DataError, DataSet, ImageData, Images

# Parts of Augment, here and below.
from onelip.data.rand_augment import RandAugment

# The registry: load by name, list, add.
from onelip.data.registry import DataSetRecord, Extent, Progress, available, load, register_dataset
from onelip.data.resized_crop import ResizedCrop

# What one of several processes takes of each batch.
from onelip.data.share import Share
from onelip.data.split import hold_out, split
from onelip.data.streamed import StreamedImages
from onelip.data.streamed_batches import StreamedBatches
from onelip.data.subset import balanced_subset, read_indices, write_indices

__all__ = [
    "Augment",
    "BatchSequence",
    "Batches",
    "ColorJitter",
    "DataError",
    "DataSet",
    "DataSetRecord",
    "Extent",
    "Generated",
    "ImageData",
    "Images",
    "Progress",
    "RandAugment",
    "ResizedCrop",
    "Share",
    "StreamedBatches",
    "StreamedImages",
    "arrays",
    "available",
    "balanced_subset",
    "batches_of",
    "cache_folder",
    "cifar10",
    "cifar100",
    "digits",
    "folder",
    "folder_stream",
    "hold_out",
    "idx",
    "imagenet",
    "load",
    "load_generated",
    "mnist",
    "read_indices",
    "register_dataset",
    "split",
    "stl10",
    "svhn",
    "tiny_imagenet",
    "write_indices",
]
