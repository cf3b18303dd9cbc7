"""IDX files of any shape, against the format's definition, and refused when broken."""

import gzip
import struct

import numpy as np
import pytest
from tests.data.idx import idx

from onelip.data import DataError
from onelip.data.idx_files import plain_or_compressed, read_idx, read_part

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("shape", [(3,), (2, 5, 4), (2, 3, 4, 3)])
@pytest.mark.parametrize("compressed", [True, False])
def test_bytes_of_any_shape_are_read(tmp_path, shape, compressed):
    array = RNG.integers(0, 256, shape, dtype=np.uint8)
    (tmp_path / ("a.gz" if compressed else "a")).write_bytes(gzip.compress(idx(array)) if compressed else idx(array))
    for wanted in (shape, (None,) * len(shape)):
        assert np.array_equal(read_idx(tmp_path / "a", wanted), array)


def test_the_compressed_file_comes_first(tmp_path):
    assert plain_or_compressed(tmp_path / "a") is None
    for name in ("a", "a.gz"):
        (tmp_path / name).touch()
        assert plain_or_compressed(tmp_path / "a") == tmp_path / name


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"\0\0\x08\x03" + struct.pack(">3I", 2, 3, 2), "holds 0 bytes after its header, expected 12 "),
        (
            b"\0\0\x08\x03" + struct.pack(">3I", 2**32 - 1, 3, 2**32 - 1) + b"1234",
            "holds 4 bytes after its header, expected 553",
        ),
        (b"\0\0\x08\x03" + struct.pack(">3I", 0, 3, 2), "holds 0 x 3 x 2 bytes by its header, expected any x 3 x any"),
        (b"\0\0\x08\x03" + struct.pack(">3I", 1, 4, 2), "holds 1 x 4 x 2 bytes by its header, expected any x 3 x any"),
        (b"\0\0\x0d\x03" + struct.pack(">3I", 1, 3, 1), "begins with 00000d03, expected 00000803 and its shape"),
        (b"\0\0\x08\x01" + struct.pack(">3I", 1, 3, 1), "begins with 00000801, expected 00000803 and its shape"),
        (b"\0\0\x08\x03\0\0", "begins with 00000803, expected 00000803 and its shape"),
    ],
)
def test_what_is_not_as_its_header_says_is_refused(tmp_path, content, sentence):
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(DataError, match=rf"a {sentence}"):
        read_idx(tmp_path / "a", (None, 3, None))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match=r"a.gz is missing; it should hold any x 3 bytes in IDX format"):
        read_idx(tmp_path / "a", (None, 3))


def test_parts_have_channels_first(tmp_path):
    for shape in ((4, 2, 3), (4, 2, 3, 3)):
        array = RNG.integers(0, 256, shape, dtype=np.uint8)
        (tmp_path / "images").write_bytes(idx(array))
        (tmp_path / "labels").write_bytes(idx(np.array([2, 0, 1, 2], np.uint8)))
        part = read_part(tmp_path, "images", "labels", (None,) * len(shape))
        expected = array[:, None] if array.ndim == 3 else np.moveaxis(array, 3, 1)
        assert np.array_equal(part.images.numpy(), expected)
        assert part.images.is_contiguous()
        assert (part.labels.tolist(), part.scale) == ([2, 0, 1, 2], 255.0)
    with pytest.raises(DataError, match=r"labels has label 2 at 0; labels are 0\.\.1"):
        read_part(tmp_path, "images", "labels", (None,) * 4, 2)
