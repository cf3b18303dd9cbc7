"""Rebuild src/onelip/data/digits.npz from scikit-learn's copy of the UCI handwritten digits.

usage: python tools/pack_digits.py [DEST]     (needs scikit-learn, which onelip itself does not)

The held-out fold is fixed by one rule that was chosen before any model was trained: with
`rng = np.random.default_rng(0)`, classes in the order 0..9, the first round(0.2 n) entries of `rng.permutation` of a
class's n images are the test images.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

DEFAULT = Path(__file__).parents[1] / "src" / "onelip" / "data" / "digits.npz"


def held_out(labels: np.ndarray) -> np.ndarray:
    """Return the sorted indices of the test fold, 20 % of each class."""
    rng = np.random.default_rng(0)
    folds = []
    for digit in range(10):
        members = np.flatnonzero(labels == digit)
        folds.append(rng.permutation(members)[: round(0.2 * len(members))])
    return np.sort(np.concatenate(folds))


def main(destination: Path) -> None:
    """Write the archive to `destination`."""
    digits = load_digits()
    labels = digits.target.astype(np.uint8)
    np.savez_compressed(
        destination,
        images=digits.images.astype(np.uint8),
        labels=labels,
        test=held_out(labels).astype(np.int16),
    )
    print(f"{destination}: {destination.stat().st_size} bytes, {len(labels)} images")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT)
