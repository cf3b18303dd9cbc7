"""Write digits with a large test part: 600 images to train on, 1,197 to test, drawn with a seed, as an .npz file.

The packaged data set has 359 test images. To attack a thousand certified ones, train with
`onelip train digits data.name=arrays data.dir=FILE`.

Run: python benchmarks/digits_split.py FILE
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from onelip import data

N_TRAIN = 600


def main() -> None:
    """Write the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    file = parser.parse_args().file
    digits = data.load("digits")
    images = np.concatenate([part.pixels().numpy() for part in (digits.train, digits.test)])
    labels = np.concatenate([part.labels.numpy() for part in (digits.train, digits.test)])
    order = np.random.default_rng(0).permutation(len(labels))
    train, test = order[:N_TRAIN], order[N_TRAIN:]
    np.savez(file, x_train=images[train], y_train=labels[train], x_test=images[test], y_test=labels[test])
    print(f"{file}: {len(train)} training images, {len(test)} test images")


if __name__ == "__main__":
    main()
