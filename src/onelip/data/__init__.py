"""Data sets by name, in memory, and batches of them that resume exactly.

A data set is one file with one decorated loader, imported here.
"""

# Data sets: each registers its loader when it is imported.
from onelip.data import arrays, cifar10, digits, folder, mnist

# From a data set to batches.
from onelip.data.augment import Augment
from onelip.data.batches import Batches

# What a data set is.
from onelip.data.images import DataError, DataSet, ImageData

# The registry: load by name, list, add.
from onelip.data.registry import DataSetRecord, Progress, available, load, register_dataset
from onelip.data.split import split

__all__ = [
    "Augment",
    "Batches",
    "DataError",
    "DataSet",
    "DataSetRecord",
    "ImageData",
    "Progress",
    "arrays",
    "available",
    "cifar10",
    "digits",
    "folder",
    "load",
    "mnist",
    "register_dataset",
    "split",
]
