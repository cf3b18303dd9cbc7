"""Data sets by name, in memory, and batches of them that resume exactly.

A data set is one file with one decorated loader, imported here.
"""

# Data sets: each registers its loader when it is imported.
from onelip.data import arrays, cifar10, digits, folder, mnist

# From a data set to batches: random changes, generated images.
from onelip.data.augment import Augment
from onelip.data.batches import Batches
from onelip.data.color_jitter import ColorJitter
from onelip.data.generated import Generated, load_generated

# What a data set is.
from onelip.data.images import DataError, DataSet, ImageData

# Parts of Augment, here and below.
from onelip.data.rand_augment import RandAugment

# The registry: load by name, list, add.
from onelip.data.registry import DataSetRecord, Progress, available, load, register_dataset
from onelip.data.resized_crop import ResizedCrop
from onelip.data.split import split

__all__ = [
    "Augment",
    "Batches",
    "ColorJitter",
    "DataError",
    "DataSet",
    "DataSetRecord",
    "Generated",
    "ImageData",
    "Progress",
    "RandAugment",
    "ResizedCrop",
    "arrays",
    "available",
    "cifar10",
    "digits",
    "folder",
    "load",
    "load_generated",
    "mnist",
    "register_dataset",
    "split",
]
