"""Hold out a validation part of the training images."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import torch

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
    if not 0 <= fraction < 1:
        raise ValueError(f"fraction={fraction} of the training images cannot be held out; it must lie in [0, 1)")
    if seed < 0:
        raise ValueError(f"seed={seed} of the validation split is negative; it must be >= 0")
    labels = train.labels.cpu().numpy()
    rng = np.random.default_rng([seed, 0x5917])
    held_out = np.zeros(len(labels), dtype=bool)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        held_out[rng.permutation(members)[: int(fraction * len(members) + 0.5)]] = True
    if held_out.all() or (fraction > 0 and not held_out.any()):
        raise ValueError(
            f"fraction={fraction} of {len(labels)} training images leaves one part empty; take another fraction"
        )
    kept, held = (torch.from_numpy(np.flatnonzero(rows)) for rows in (~held_out, held_out))
    device = train.labels.device
    return train.subset(kept.to(device)), train.subset(held.to(device))
