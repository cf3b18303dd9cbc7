"""SVHN's three files in their true format, with few images."""

import numpy as np
import scipy.io

from onelip.data import svhn


def shrink(monkeypatch, n_train=7, n_test=4, n_extra=5):
    for name, count in (("N_TRAIN", n_train), ("N_TEST", n_test), ("N_EXTRA", n_extra)):
        monkeypatch.setattr(svhn, name, count)


def write_svhn(home):
    """Write the files, compressed as the published ones are; return X and y of each by the file's name."""
    rng, arrays = np.random.default_rng(0), {}
    for name, count in (
        (svhn.TRAIN_FILE, svhn.N_TRAIN),
        (svhn.TEST_FILE, svhn.N_TEST),
        (svhn.EXTRA_FILE, svhn.N_EXTRA),
    ):
        x = rng.integers(0, 256, (32, 32, 3, count), dtype=np.uint8)
        y = (1 + np.arange(count, dtype=np.uint8)[::-1, None]) % 10 + 1
        scipy.io.savemat(home / name, {"X": x, "y": y}, do_compression=True)
        arrays[name] = x, y
    return arrays
