"""Generated images, mixed into the batches of real ones."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from onelip.data.augment import Augment
from onelip.data.folder import read_classes
from onelip.data.images import DataError, DataSet, ImageData
from onelip.data.npz import UNREADABLE, Array, array_names, open_arrays

_IMAGES, _LABELS = ("image", "images"), ("label", "labels")


@dataclass(frozen=True, eq=False)
class Generated:
    """A pool of generated images for `Batches`, which takes `ratio` of them for each real image.

    Attributes:
        data: The pool. It stays where it is; only the images of a batch move to the device.
        ratio: Generated images for each real one, > 0.
        augment: Their random changes; None for those of the real images.
    """

    data: ImageData
    ratio: float = 3.0
    augment: Augment | None = None

    def __post_init__(self) -> None:
        if not 0 < self.ratio < math.inf:
            raise ValueError(f"ratio={self.ratio} in Generated must be a number of images > 0 for each real one")
        if len(self.data) == 0:
            raise ValueError("data in Generated holds no image; it needs at least one")

    def real_images(self, batch_size: int) -> int:
        """Return how many images of a full batch are real: batch_size / (1 + ratio), rounded.

        Args:
            batch_size: Images in a batch.

        Returns:
            At least 1 and less than `batch_size`.

        Raises:
            ValueError: The batch is too small for both kinds.
        """
        n_real = round(batch_size / (1 + self.ratio))
        if not 0 < n_real < batch_size:
            raise ValueError(
                f"batch_size={batch_size} leaves no room for both real and generated images at ratio={self.ratio:g}; "
                f"take at least {math.ceil(1 + max(self.ratio, 1 / self.ratio))}"
            )
        return n_real

    def take(self, index: Tensor, device: str | torch.device) -> tuple[Tensor, Tensor]:
        """Copy some images to a device.

        Args:
            index: `(B,)` int64 indices into the pool.
            device: A torch device or its name.

        Returns:
            `(images, labels)`: `(B, C, H, W)` stored values and `(B,)` int64.
        """
        index = index.to(self.data.images.device)
        return self.data.images[index].contiguous().to(device), self.data.labels[index].to(device)


def load_generated(path: str | Path, real: DataSet) -> ImageData:
    """Open a pool of generated images.

    A .npz file holds the bytes `image` (or `images`), `(N, H, W, C)` or `(N, C, H, W)`, and the integers `label` (or
    `labels`), `(N,)` from 0: the format in which images of diffusion models are published. As `numpy.savez` writes it,
    it is mapped into memory, whatever its size, and pages are read when a batch needs them; as
    `numpy.savez_compressed` writes it, it is read whole. A folder holds one folder of image files per class, named as
    the classes of the real data, and is read whole.

    Args:
        path: The file or folder.
        real: The data set that the images are to be mixed with.

    Returns:
        The images, bytes with scale 255.

    Raises:
        DataError: The file is missing or broken, or its images or classes are not those of the real data.
    """
    path = Path(path).expanduser()
    if path.is_dir():
        pool = read_classes(path, real.classes)
        return ImageData(_images(path, pool.images.numpy(), real), pool.labels, pool.scale)
    if not path.is_file():
        raise DataError(f"path={str(path)!r} of generated images is neither an .npz file nor a folder")
    images, labels = _read(path)
    return ImageData(_images(path, images, real), _labels(path, labels, len(images), real), 255.0)


def _read(path: Path) -> tuple[Array, Array]:
    try:
        present = array_names(path)
        names = [next((n for n in either if n in present), None) for either in (_IMAGES, _LABELS)]
        found = [name for name in names if name is not None]
        stored = open_arrays(path, found) if len(found) == len(names) else None
    except UNREADABLE as error:
        raise DataError(
            f"{path} cannot be read as a .npz file of plain arrays; write it anew with numpy.savez"
        ) from error
    if stored is None:
        raise DataError(
            f"{path} has the arrays {', '.join(sorted(present)) or 'none'}; generated images need image and label"
        )
    return stored[found[0]], stored[found[1]]


def _images(path: Path, images: Array, real: DataSet) -> Tensor:
    if images.dtype != np.uint8:
        raise DataError(f"the images in {path} have dtype {images.dtype}; they must be uint8, bytes 0..255")
    channels, height, width = real.input_shape
    allowed = {(height, width, channels), (channels, height, width), *([(height, width)] if channels == 1 else [])}
    if images.shape[1:] not in allowed or len(images) == 0:
        raise DataError(
            f"the images in {path} have shape {images.shape}; to be mixed with {real.name} they must be "
            f"(N, {height}, {width}, {channels}) or (N, {channels}, {height}, {width}), not empty"
        )
    stored = torch.from_numpy(images)
    if images.shape[1:] == (height, width, channels):
        return stored.permute(0, 3, 1, 2)
    return stored if stored.dim() == 4 else stored[:, None]


def _labels(path: Path, labels: Array, n_images: int, real: DataSet) -> Tensor:
    if labels.shape != (n_images,) or labels.dtype.kind not in "iu":
        raise DataError(
            f"the labels in {path} have dtype {labels.dtype} and shape {labels.shape}; "
            f"they must be integers of shape ({n_images},), one per image"
        )
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= real.n_classes:
        raise DataError(
            f"the labels in {path} range from {low} to {high}; "
            f"with the {real.n_classes} classes of {real.name} they must lie in 0..{real.n_classes - 1}"
        )
    return torch.from_numpy(labels.astype(np.int64))
