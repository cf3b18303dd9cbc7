"""A data set of the user's own, in one NumPy archive."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from onelip.data.images import DataError, DataSet, ImageData
from onelip.data.npz import UNREADABLE
from onelip.data.registry import Progress, register_dataset

_KEYS = ("x_train", "y_train", "x_test", "y_test")


@register_dataset("arrays", dir="required")
def arrays(dir: Path | None, progress: Progress | None = None) -> DataSet:
    """Your own images in one .npz file with x_train, y_train, x_test and y_test.

    Images are `(N, H, W)` or `(N, C, H, W)`, bytes 0..255 or floating-point numbers in [0, 1]; labels are integers
    `(N,)` from 0. An optional array `classes` of strings names the classes. Pickled objects are refused.

    Args:
        dir: The .npz file.
        progress: Called after each array that was read, with the number of arrays.

    Returns:
        The data set; scale 255 for bytes, 1 for numbers.

    Raises:
        DataError: The file is missing or broken, or an array is missing or not as described.
    """
    if dir is None or not dir.is_file():
        raise DataError(f"dir={str(dir)!r} is not a file; data set 'arrays' needs a .npz file with {', '.join(_KEYS)}")
    stored = _read(dir, progress)
    parts = {}
    for part in ("train", "test"):
        images, scale = _images(f"x_{part} in {dir}", stored[f"x_{part}"])
        labels = _labels(f"y_{part} in {dir}", stored[f"y_{part}"], len(images))
        parts[part] = ImageData(images, labels, scale)
    n_classes = int(max(part.labels.max() for part in parts.values() if len(part))) + 1 if len(parts["train"]) else 0
    names = _class_names(dir, stored.get("classes"), n_classes)
    return DataSet("arrays", parts["train"], parts["test"], names, str(dir))


def _read(path: Path, progress: Progress | None) -> dict[str, Any]:
    stored: dict[str, Any] = {}
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            missing = [key for key in _KEYS if key not in archive]
            if missing:
                raise DataError(f"{path} has no array {missing[0]}; it needs {', '.join(_KEYS)}")
            keys = [*_KEYS, *(["classes"] if "classes" in archive else [])]
            for n_read, key in enumerate(keys, start=1):
                stored[key] = archive[key]
                if progress is not None:
                    progress(n_read, len(keys))
    except DataError:
        raise
    except UNREADABLE as error:
        raise DataError(
            f"{path} cannot be read as a .npz file of plain arrays; write it anew with numpy.savez"
        ) from error
    return stored


def _images(where: str, images: np.ndarray[Any, Any]) -> tuple[torch.Tensor, float]:
    if images.ndim not in (3, 4) or 0 in images.shape:
        raise DataError(f"{where} has shape {images.shape}; it must be (N, H, W) or (N, C, H, W) and not empty")
    if images.ndim == 3:
        images = images[:, None]
    if images.dtype == np.uint8:
        return torch.from_numpy(np.ascontiguousarray(images)), 255.0
    if images.dtype.kind != "f":
        raise DataError(f"{where} has dtype {images.dtype}; it must be uint8 (0..255) or floating point in [0, 1]")
    for test, name in ((np.isnan, "NaN"), (np.isinf, "inf")):
        if (at := _first(test(images))) is not None:
            raise DataError(f"{where} holds {name} at index {at}; pixels must be finite numbers in [0, 1]")
    if (at := _first((images < 0) | (images > 1))) is not None:
        raise DataError(f"{where} holds {images[at]:g} at index {at}; pixels must lie in [0, 1]")
    return torch.from_numpy(np.ascontiguousarray(images, dtype=np.float32)), 1.0


def _labels(where: str, labels: np.ndarray[Any, Any], n_images: int) -> torch.Tensor:
    if labels.shape != (n_images,):
        raise DataError(f"{where} has shape {labels.shape}; it must be ({n_images},), one label per image")
    if labels.dtype.kind not in "iu":
        raise DataError(f"{where} has dtype {labels.dtype}; it must be integers from 0")
    if (at := _first((labels < 0) | (labels > 1_000_000))) is not None:
        raise DataError(f"{where} holds {labels[at]} at index {at}; labels count classes from 0")
    return torch.from_numpy(labels.astype(np.int64))


def _class_names(path: Path, stored: np.ndarray[Any, Any] | None, n_classes: int) -> tuple[str, ...]:
    if stored is None:
        return tuple(map(str, range(n_classes)))
    if stored.dtype.kind != "U" or stored.ndim != 1 or len(stored) < n_classes:
        raise DataError(
            f"classes in {path} has dtype {stored.dtype} and shape {stored.shape}; "
            f"it must be at least {n_classes} strings, one per label"
        )
    return tuple(map(str, stored))


# The first True, in reading order.
def _first(bad: np.ndarray[Any, Any]) -> tuple[int, ...] | None:
    flat = int(bad.argmax())
    at = tuple(int(i) for i in np.unravel_index(flat, bad.shape))
    return at if bad[at] else None
