"""Images that stand in for those of a data set whose files are not here, where only time and memory are measured."""

from __future__ import annotations

from pathlib import Path

import torch

from onelip.data import DataSet, Extent, ImageData, available, cache_folder
from onelip.experiments.config_data import Data
from onelip.experiments.errors import UserError
from onelip.linalg import unknown_name

_WHITE = 255.0


def files_are_missing(section: Data) -> bool:
    """Ask whether a data set would have to be downloaded first, or is to be at a place that does not exist.

    Args:
        section: The configuration's.

    Returns:
        False also where there may be files, but broken ones.

    Raises:
        UserError: There is no data set of that name.
    """
    if section.name not in available():
        raise UserError(unknown_name("data set", section.name, available()))
    record = available()[section.name]
    if section.dir is not None:
        return not Path(section.dir).expanduser().exists()
    return record.dir == "optional" and not all((cache_folder() / file).exists() for file in record.kept)


def made_up_images(section: Data) -> DataSet:
    """Draw random images in the shape and number of a data set.

    Args:
        section: The configuration's.

    Returns:
        Images in memory; each class has as many as any other, but for one.

    Raises:
        UserError: It is not known how large the data set is.
    """
    extent = available()[section.name].extent
    if extent is None or section.options:
        named = f"{section.name} with data.options" if extent is not None else section.name
        raise UserError(
            f"the files of data set {named} are not here, and how large it is is known from them alone; give data.dir"
        )
    train, test = (_part(extent, n, seed) for seed, n in enumerate((extent.n_train, extent.n_test)))
    classes = tuple(str(label) for label in range(extent.n_classes))
    return DataSet(section.name, train, test, classes, "made up at random")


def _part(extent: Extent, n: int, seed: int) -> ImageData:
    generator = torch.Generator().manual_seed(seed)
    pixels = torch.randint(256, (n, *extent.shape), generator=generator, dtype=torch.uint8)
    return ImageData(pixels, torch.arange(n) % extent.n_classes, _WHITE)
