"""The handwritten digits that come with the package."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import numpy as np
import torch

from onelip.data.images import DataSet, ImageData
from onelip.data.registry import Progress, register_dataset


@register_dataset("digits", dir="unused")
def digits(dir: Path | None = None, progress: Progress | None = None) -> DataSet:
    """1,797 handwritten digits of 8x8 pixels, packed in onelip (1,438 train, 359 test).

    Stored values are integers 0..16. The test fold is a fixed 20 % of each class, drawn by the rule in
    `tools/pack_digits.py` before any model was trained. Source: E. Alpaydin and C. Kaynak, "Optical Recognition of
    Handwritten Digits" (1998), UCI Machine Learning Repository, CC BY 4.0; taken from scikit-learn (BSD 3-Clause).

    Args:
        dir: Unused; `load` rejects it.
        progress: Called once when done.

    Returns:
        The data set, images `(N, 1, 8, 8)` uint8 with scale 16.
    """
    with resources.files("onelip.data").joinpath("digits.npz").open("rb") as file, np.load(file) as stored:
        images, labels, test = stored["images"], stored["labels"], stored["test"]
    held_out = np.zeros(len(labels), dtype=bool)
    held_out[test] = True
    train_part, test_part = (
        ImageData(torch.from_numpy(images[rows][:, None]), torch.from_numpy(labels[rows].astype(np.int64)), 16.0)
        for rows in (~held_out, held_out)
    )
    if progress is not None:
        progress(len(labels), len(labels))
    source = "UCI Optical Recognition of Handwritten Digits (CC BY 4.0), via scikit-learn (BSD 3-Clause)"
    return DataSet("digits", train_part, test_part, tuple("0123456789"), source)
