"""Hold out a validation part of the training images."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from onelip.data.images import Images

AnyImages = TypeVar("AnyImages", bound=Images)


def split(train: AnyImages, fraction: float, seed: int) -> tuple[AnyImages, AnyImages]:
    """Split training images into a part to learn from and a validation part, class by class.

    Of a class with n images, `fraction * n` rounded to the nearest integer (halves up) are drawn for validation. The
    result is a pure function of the labels, the fraction and the seed; both parts keep the order of the data.

    Args:
        train: Training images.
        fraction: Share to hold out, in [0, 1); 0 leaves the validation part empty.
        seed: Seed of the draw, >= 0.

    Returns:
        (train, validation), disjoint, together all images.

    Raises:
        ValueError: The fraction or seed is out of range, or one part would be empty though the fraction is not 0.
    """
    held_out = torch.zeros(len(train.labels), dtype=torch.bool)
    held_out[hold_out(train.labels, fraction, seed)] = True
    if held_out.all() or (fraction > 0 and not held_out.any()):
        raise ValueError(
            f"fraction={fraction} of {len(held_out)} training images leaves one part empty; take another fraction"
        )
    device = train.labels.device
    kept, held = (rows.nonzero()[:, 0].to(device) for rows in (~held_out, held_out))
    return train.subset(kept), train.subset(held)


def hold_out(labels: Tensor, fraction: float, seed: int, taken: Tensor | None = None) -> Tensor:
    """Draw validation images, class by class, from those that are not taken.

    Of a class with n images, taken ones included, `fraction * n` are drawn, rounded to the nearest integer (halves up).

    Args:
        labels: `(N,)` of all training images.
        fraction: Share to hold out, in [0, 1).
        seed: Seed of the draw, >= 0.
        taken: Indices of images that are not to be drawn; None for none.

    Returns:
        Their indices, ascending, int64.

    Raises:
        ValueError: The fraction or seed is out of range, or a class has not as many images that are not taken.
    """
    if not 0 <= fraction < 1:
        raise ValueError(f"fraction={fraction} of the training images cannot be held out; it must lie in [0, 1)")
    if seed < 0:
        raise ValueError(f"seed={seed} of the validation split is negative; it must be >= 0")
    rng = np.random.default_rng([seed, 0x5917])
    numbers = labels.cpu().numpy()
    free = np.ones(len(numbers), dtype=bool)
    if taken is not None:
        free[taken.cpu().numpy()] = False
    drawn = []
    for label in np.unique(numbers):
        every = np.flatnonzero(numbers == label)
        members, n_held = every[free[every]], int(fraction * len(every) + 0.5)
        if n_held > len(members):
            raise ValueError(
                f"fraction={fraction} of the {len(every)} images of class {label} are {n_held} to hold out, and only "
                f"{len(members)} are not taken; take a smaller fraction"
            )
        drawn.append(rng.permutation(members)[:n_held])
    return torch.from_numpy(np.sort(np.concatenate([*drawn, np.zeros(0, np.int64)])))
