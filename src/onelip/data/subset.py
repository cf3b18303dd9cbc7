"""Balanced small subsets of training images, and the text files that keep which images they are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from onelip.data.images import DataError
from onelip.files import write_text_atomically


def balanced_subset(
    labels: Tensor, per_class: int, seed: int, *, validation_per_class: int = 0, classes: Sequence[str] | None = None
) -> tuple[Tensor, Tensor]:
    """Draw as many training images of each class, and then validation images.

    The images of each class are put into a random order; the first `per_class` are learned, the next
    `validation_per_class` held out. So with the same seed a smaller subset is part of a larger one. The result is a
    pure function of the arguments.

    Args:
        labels: `(N,)` of all training images.
        per_class: Images of each class to learn from, >= 1.
        seed: Seed of the draw, >= 0.
        validation_per_class: Images of each class to validate with, >= 0.
        classes: Class names, each of which must have images; by default the classes are numbers up to the largest
            label.

    Returns:
        (train, validation), indices of images, ascending, int64.

    Raises:
        ValueError: An argument is out of range, or a class has fewer images.
    """
    limits = (("per_class", per_class, 1), ("validation_per_class", validation_per_class, 0), ("seed", seed, 0))
    for name, value, least in limits:
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise ValueError(f"{name}={value!r} of a balanced subset must be an integer >= {least}")
    numbers = labels.cpu().numpy()
    names = tuple(map(str, range(int(numbers.max(initial=-1)) + 1))) if classes is None else classes
    rng = np.random.default_rng([seed, 0xBA1A])
    orders = [rng.permutation(np.flatnonzero(numbers == label)) for label in range(len(names))]
    wanted = per_class + validation_per_class
    for name, order in zip(names, orders, strict=True):
        if len(order) < wanted:
            raise ValueError(
                f"per_class={per_class} and validation_per_class={validation_per_class} ask for {wanted} images of "
                f"class {name!r}, which has {len(order)}; ask for fewer"
            )
    parts = [[order[:per_class] for order in orders], [order[per_class:wanted] for order in orders]]
    train, validation = (torch.from_numpy(np.sort(np.concatenate([*part, np.zeros(0, np.int64)]))) for part in parts)
    return train, validation


def write_indices(path: str | Path, indices: Tensor) -> None:
    """Write indices of images as text, one a line, in one step.

    Args:
        path: The file.
        indices: `(N,)` integers, >= 0.
    """
    write_text_atomically(Path(path), "".join(f"{index}\n" for index in indices.tolist()))


def read_indices(path: str | Path, n_images: int) -> Tensor:
    """Read indices of images as `write_indices` writes them.

    Args:
        path: A text file with one index a line; blank lines are skipped.
        n_images: How many images there are to choose from.

    Returns:
        `(N,)` int64, in the order of the file.

    Raises:
        DataError: The file is missing or no text, holds no index or something else, or an index is out of range or
            there twice.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"{path} is missing or no text file; it should hold the index of an image on each line"
        ) from error
    found: dict[int, int] = {}
    for number, line in enumerate(lines, start=1):
        word = line.strip()
        if not word:
            continue
        # What int() takes beside digits, such as "1_0", is a mistake here.
        index = int(word) if word.isascii() and word.isdecimal() and len(word) < 20 else -1
        if not 0 <= index < n_images:
            raise DataError(f"line {number} of {path} says {word[:20]!r}; indices of images are 0..{n_images - 1}")
        if index in found:
            raise DataError(f"line {number} of {path} repeats index {index} of line {found[index]}")
        found[index] = number
    if not found:
        raise DataError(f"{path} holds no index of an image")
    return torch.tensor(list(found), dtype=torch.int64)
