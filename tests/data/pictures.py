"""Folders of small image files, for tests of what reads them."""

import numpy as np
from PIL import Image


def write_picture(path, size=(12, 10), colour=(200, 100, 50), mode="RGB"):
    """Write an image file of one colour; `size` is (width, height)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    value = colour if mode == "RGB" else colour[0] if mode in ("L", "P") else (*colour, 255)[: len(mode)]
    Image.new(mode, size, value).save(path, quality=95)


def write_noise(path, size, seed=0):
    """Write an image of smooth random colours and return its `(H, W, 3)` bytes; exact unless it is a JPEG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    width, height = size
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(0, 256, (4, 4, 3), dtype=np.uint8))
    picture = small.resize((width, height), Image.Resampling.BICUBIC)
    picture.save(path, **({"quality": 95} if path.suffix.lower() in (".jpeg", ".jpg") else {}))
    return np.asarray(picture)


def write_classes(part, classes, n_images, *, inner="", size=(12, 10), suffix="JPEG"):
    """Write PART/CLASS/INNER/CLASS_i.SUFFIX; the red value tells images apart and the green one classes."""
    for label, name in enumerate(classes):
        for i in range(n_images):
            path = part / name / inner / f"{name}_{i}.{suffix}"
            write_picture(path, (size[0] + i, size[1] + label), (20 * i, 20 * label, 0))
