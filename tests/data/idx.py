"""Small data sets in the true IDX format."""

import gzip
import struct

import numpy as np


def idx(array):
    """The content of an IDX file."""
    return struct.pack(">BBBB", 0, 0, 8, array.ndim) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def write_idx(home, n_train, n_test):
    rng = np.random.default_rng(0)
    arrays = {}
    for part, count in (("train", n_train), ("t10k", n_test)):
        arrays[f"{part}-images-idx3-ubyte"] = rng.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        arrays[f"{part}-labels-idx1-ubyte"] = (np.arange(count) % 10).astype(np.uint8)
    for name, array in arrays.items():
        (home / f"{name}.gz").write_bytes(gzip.compress(idx(array), compresslevel=1))
    return arrays
