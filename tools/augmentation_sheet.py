"""Draw what each random change does to a few test images of CIFAR-10: docs/augmentation.png.

python tools/augmentation_sheet.py [DIR_OF_CIFAR10]
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from onelip import data
from onelip.data import Augment, ColorJitter, RandAugment, ResizedCrop
from onelip.data.rand_augment import OPERATIONS, operate_

SHEET = Path(__file__).parents[1] / "docs" / "augmentation.png"
PICTURES = (17, 19, 34)
# Of the operations of RandAugment: twice the magnitude of the record, so that the eye sees it.
STRENGTH = 0.6
CHANGES = {
    "as it is": Augment(),
    "crop, flip": Augment(crop=4, flip=True),
    "rotate, move": Augment(rotate=15.0, scale=0.1, translate=0.1, fill="mean"),
    "resized crop": Augment(resized_crop=ResizedCrop()),
    "cutout": Augment(cutout=16),
    "cutout, mean": Augment(cutout=16, fill="mean"),
    "jitter": Augment(color_jitter=ColorJitter(0.4, 0.4, 0.4)),
    "jitter of hue": Augment(color_jitter=ColorJitter(hue=0.3)),
    "RandAugment": Augment(rand_augment=RandAugment()),
    "record": Augment(crop=4, flip=True, rand_augment=RandAugment(probability=0.5)),
}
TILE, ZOOM, LABEL, COLUMNS = 32, 2, 16, 12


def panels(images: Tensor, colour: Tensor) -> dict[str, Tensor]:
    """Make all changes.

    Args:
        images: `(B, C, H, W)` bytes.
        colour: `(C,)` the mean colour, bytes.

    Returns:
        Pixels in [0, 1] by the name of the change.
    """
    found = {
        name: augment.apply(
            images, np.random.default_rng(k), scale=255.0, colour=colour if augment.fill == "mean" else None
        )
        for k, (name, augment) in enumerate(CHANGES.items())
    }
    sign = np.resize([1, -1], len(images))
    for number, name in enumerate(OPERATIONS[1:], start=1):
        found[name] = images / 255
        operate_(found[name], np.full(len(images), number), sign, STRENGTH)
    return found


def draw(found: dict[str, Tensor]) -> Image.Image:
    """Lay out pictures.

    Args:
        found: Pixels by the name of the change.

    Returns:
        The sheet: one column for each change, in bands.
    """
    side, n_pictures = TILE * ZOOM + 4, len(PICTURES)
    band = LABEL + n_pictures * side + 6
    n_bands = -(-len(found) // COLUMNS)
    sheet = Image.new("RGB", (COLUMNS * side + 4, n_bands * band), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(9)
    for k, (name, pixels) in enumerate(found.items()):
        x, y = 4 + (k % COLUMNS) * side, (k // COLUMNS) * band
        pen.text((x, y + 2), name, fill="black", font=font)
        stored = pixels.mul(255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
        for i, picture in enumerate(stored):
            tile = Image.fromarray(picture).resize((TILE * ZOOM, TILE * ZOOM), Image.Resampling.NEAREST)
            sheet.paste(tile, (x, y + LABEL + i * side))
    return sheet


def main() -> None:
    """Write the picture."""
    loaded = data.load("cifar10", sys.argv[1] if len(sys.argv) > 1 else None)
    images = loaded.test.images[list(PICTURES)]
    colour = torch.tensor(loaded.train.channel_mean()).mul(255).round().to(torch.uint8)
    draw(panels(images, colour)).save(SHEET, optimize=True)
    print(f"{SHEET}: {SHEET.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
