"""Image files in folders named after their classes, or listed in a file with their classes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

import torch
from torch import Tensor

from onelip.data.image_files import folders_of, images_of
from onelip.data.images import DataError
from onelip.data.registry import Progress

ClassFiles: TypeAlias = tuple[list[str], Tensor]
"""Names of N files, from the folder that was asked about, and their labels, `(N,)` int64."""

_HEADER = ("ImageId", "PredictionString")


def files_by_folder(
    part: Path, classes: Sequence[str], *, inner: str = "", required: bool = True, progress: Progress | None = None
) -> ClassFiles:
    """List the image files in PART/CLASS/ or PART/CLASS/INNER/.

    Args:
        part: The folder that holds those of the classes.
        classes: Their names, in the order of labels.
        inner: Name of a folder in the folder of each class.
        required: Refuse a class without images.
        progress: Called after each class with the number of classes.

    Returns:
        Files, class by class in alphabetical order, with their labels.

    Raises:
        DataError: There are folders of other classes, or a class has no image.
    """
    strange = sorted(
        set(folders_of(part, f"it should hold a folder for each of {len(classes)} classes")) - set(classes)
    )
    if strange:
        raise DataError(f"{part / strange[0]} is a folder of no class; the classes begin {', '.join(classes[:3])}")
    files: list[str] = []
    labels: list[int] = []
    for label, name in enumerate(classes):
        folder = Path(name) / inner
        found = images_of(part / folder, required=required)
        files += [f"{folder}/{file}" for file in found]
        labels += [label] * len(found)
        if progress is not None:
            progress(label + 1, len(classes))
    return files, torch.tensor(labels, dtype=torch.int64)


def files_by_list(listing: Path, folder: Path, classes: Sequence[str]) -> ClassFiles:
    """List the image files of one folder whose classes a text file names.

    A line of it holds the name of an image, with or without ending, and its class, parted by blanks or a comma; what
    follows on the line is skipped, as is a first line `ImageId,PredictionString`.

    Args:
        listing: The text file.
        folder: The folder with the images.
        classes: Names of classes, in the order of labels.

    Returns:
        Files in the order of the lines, with their labels.

    Raises:
        DataError: A line is not of this form, or names a file or class that does not exist, or a file twice.
    """
    labels_of = {name: label for label, name in enumerate(classes)}
    files_of = {Path(name).stem: name for name in images_of(folder)}
    found: dict[str, int] = {}
    for number, line in enumerate(_lines(listing), start=1):
        words = re.split(r"[\s,]+", line.strip())
        if words[0] == "" or (number == 1 and tuple(words) == _HEADER):
            continue
        file = files_of.get(Path(words[0]).stem)
        if file is None:
            raise DataError(f"line {number} of {listing} names {words[0]!r}, which is no image in {folder}")
        if len(words) < 2 or words[1] not in labels_of:
            raise DataError(f"line {number} of {listing} names no class of {len(classes)}, such as {classes[0]}")
        if file in found:
            raise DataError(f"line {number} of {listing} names {file} again; an image has one class")
        found[file] = labels_of[words[1]]
    return list(found), torch.tensor(list(found.values()), dtype=torch.int64)


def check_count(what: str, found: int, expected: int) -> None:
    """Refuse a number that is not that of the published data set.

    Args:
        what: What was counted, and where: "images in PATH".
        found: The number.
        expected: What it should be.

    Raises:
        DataError: They differ.
    """
    if found != expected:
        raise DataError(f"{found:,} {what}, expected {expected:,}; the data set is not complete or another one")


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read as a text file") from error
