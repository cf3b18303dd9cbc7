"""MATLAB's files, as SciPy writes them and byte by byte, and every kind of broken one."""

import io
import struct
import zlib

import numpy as np
import pytest
import scipy.io
from hypothesis import given
from hypothesis import strategies as st

from onelip.data import DataError
from onelip.data.mat_files import read_mat

RNG = np.random.default_rng(0)
X, Y = RNG.integers(0, 256, (4, 5, 3, 7), dtype=np.uint8), RNG.integers(1, 11, (7, 1), dtype=np.uint8)


def saved(arrays, *, compressed):
    stream = io.BytesIO()
    scipy.io.savemat(stream, arrays, do_compression=compressed)
    return stream.getvalue()


def room():
    return {"X": np.zeros(X.shape[::-1], np.uint8), "y": np.zeros(Y.shape[::-1], np.uint8)}


def read(path, content):
    path.write_bytes(content)
    found = room()
    read_mat(path, found)
    return found


def with_order(content):
    """The same uncompressed file with all numbers of more than one byte the other way round."""
    swapped, at = bytearray(content[:124] + b"\1\0MI"), 128

    def numbers(start, n_bytes):
        return b"".join(content[i : i + 4][::-1] for i in range(start, start + n_bytes, 4))

    while at < len(content):
        end = at + 8 + struct.unpack_from("<I", content, at + 4)[0]
        swapped += numbers(at, 8)
        at += 8
        while at < end:
            kind, length = struct.unpack_from("<2I", content, at)
            if kind >> 16:
                swapped += struct.pack(">I", kind) + content[at + 4 : at + 8]
                at += 8
                continue
            padded = -(-length // 8) * 8
            part = content[at + 8 : at + 8 + padded]
            swapped += numbers(at, 8) + (numbers(at + 8, padded) if kind in (5, 6) else part)
            at += 8 + padded
    return bytes(swapped)


@pytest.mark.parametrize("compressed", [True, False])
def test_what_scipy_writes_is_read(tmp_path, compressed):
    found = read(tmp_path / "a.mat", saved({"note": "skipped", "y": Y, "n": 3.0, "X": X}, compressed=compressed))
    # The axes of memory run backwards.
    assert np.array_equal(found["X"], X.T)
    assert np.array_equal(found["y"], Y.T)


def test_files_of_the_other_byte_order_are_read(tmp_path):
    content = with_order(saved({"X": X, "y": Y}, compressed=False))
    assert np.array_equal(scipy.io.loadmat(io.BytesIO(content))["X"], X)
    found = read(tmp_path / "a.mat", content)
    assert np.array_equal(found["X"], X.T)
    assert np.array_equal(found["y"], Y.T)


@pytest.mark.parametrize("n", [1, 4, 5, 8, 9])
@pytest.mark.parametrize("compressed", [True, False])
def test_short_arrays_and_padding(tmp_path, n, compressed):
    array = np.arange(1, n + 1, dtype=np.uint8)[:, None]
    (tmp_path / "a.mat").write_bytes(saved({"y": array}, compressed=compressed))
    found = np.zeros((1, n), np.uint8)
    read_mat(tmp_path / "a.mat", {"y": found})
    assert np.array_equal(found[0], array[:, 0])


def test_large_arrays_are_read_in_parts(tmp_path):
    array = RNG.integers(0, 4, (3 * 2**20 // 2 + 5, 2), dtype=np.uint8)
    for compressed in (True, False):
        (tmp_path / "a.mat").write_bytes(saved({"X": array}, compressed=compressed))
        found = np.zeros(array.shape[::-1], np.uint8)
        read_mat(tmp_path / "a.mat", {"X": found})
        assert np.array_equal(found, array.T)


PLAIN, PRESSED = (saved({"X": X, "y": Y}, compressed=compressed) for compressed in (False, True))


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "is no MATLAB file of level 5; its header ends in nothing"),
        (b"<html>" * 40, "is no MATLAB file of level 5"),
        (b"MATLAB 7.3 MAT-file" + bytes(200), "is a MATLAB 7.3 file, which is HDF5; save it anew with -v7"),
        (b"\x89HDF\r\n\x1a\n" + bytes(200), "is a MATLAB 7.3 file, which is HDF5"),
        (PLAIN[:128], r"has no array X; it should hold X \(4x5x3x7 bytes\) and y \(7x1 bytes\)"),
        (PLAIN[:130], "ends within the description of an array; it is truncated"),
        (PLAIN[:-30], r"has \d+ bytes, and an array in it ends at \d+; it is truncated"),
        (PRESSED[:-3], r"has \d+ bytes, and an array in it ends at \d+; it is truncated"),
        (saved({"X": X}, compressed=True), "has no array y; it should hold"),
        (saved({"X": X[1:], "y": Y}, compressed=True), "X in .* has shape 3x5x3x7, expected 4x5x3x7"),
        (saved({"X": X, "y": Y.T}, compressed=True), "y in .* has shape 1x7, expected 7x1"),
        (saved({"X": X.astype(float), "y": Y}, compressed=True), "X in .* is not stored as 420 bytes"),
        (saved({"X": X.astype(np.int8), "y": Y}, compressed=False), "X in .* is not stored as 420 bytes"),
        (saved({"X": X * 1j, "y": Y}, compressed=True), "X in .* holds complex numbers; it should hold bytes"),
    ],
)
def test_what_is_not_right_is_one_sentence(tmp_path, content, sentence):
    with pytest.raises(DataError, match=sentence) as caught:
        read(tmp_path / "a.mat", content)
    assert "a.mat" in str(caught.value)


def element(content, kind=14):
    return struct.pack("<2I", kind, len(content)) + content


def compressed_element(content, change=lambda stream: stream):
    return element(change(zlib.compress(element(content))), 15)


NAMED = struct.pack("<4I", 6, 8, 9, 0) + struct.pack("<2I2i", 5, 8, 7, 1) + struct.pack("<2H4s", 1, 1, b"y")
SEVEN = struct.pack("<2I", 2, 7) + bytes(range(7)) + b"\0"


@pytest.mark.parametrize(
    ("array", "sentence"),
    [
        (compressed_element(NAMED + SEVEN, lambda s: s[:-1] + bytes([s[-1] ^ 1])), "cannot be decompressed .*data che"),
        (compressed_element(NAMED + SEVEN, lambda s: s[:-3]), "y in .* does not end where its shape says"),
        (compressed_element(NAMED + SEVEN, lambda s: b"no stream"), "cannot be decompressed"),
        (compressed_element(NAMED + SEVEN + bytes(8)), "y in .* does not end where its shape says"),
        (compressed_element(NAMED + SEVEN[:-4]), "has an array that ends too early"),
        (element(NAMED + SEVEN[:-4]), "has an array that ends too early"),
        (element(NAMED[:20]), "has an array that ends too early"),
        (element(struct.pack("<2I", 5, 8) + bytes(8)), "has an array without flags; it is broken"),
        (element(NAMED[:16] + struct.pack("<2I", 6, 8) + bytes(8)), "has an array without a shape; it is broken"),
        (element(struct.pack("<2I", 6, 2**31) + bytes(8)), "has an array described by 2147483648 bytes"),
    ],
)
def test_arrays_that_are_broken_inside_are_one_sentence(tmp_path, array, sentence):
    (tmp_path / "a.mat").write_bytes(PLAIN[:128] + array)
    with pytest.raises(DataError, match=sentence):
        read_mat(tmp_path / "a.mat", {"y": np.zeros((1, 7), np.uint8)})


def test_the_parts_of_the_broken_ones_are_right_when_whole(tmp_path):
    for make in (element, compressed_element):
        (tmp_path / "a.mat").write_bytes(PLAIN[:128] + make(NAMED + SEVEN))
        found = np.zeros((1, 7), np.uint8)
        read_mat(tmp_path / "a.mat", {"y": found})
        assert found.tolist() == [list(range(7))]


@given(content=st.sampled_from([PLAIN, PRESSED]), at=st.integers(0, 10**6), value=st.integers(0, 255))
def test_a_wrong_byte_anywhere_is_read_or_refused_but_never_a_crash(tmp_path_factory, content, at, value):
    changed = bytearray(content)
    changed[at % len(content)] = value
    path = tmp_path_factory.getbasetemp() / "byte.mat"
    message = str(path)
    try:
        read(path, bytes(changed))
    except DataError as error:
        message = str(error)
    assert str(path) in message


def test_a_wrong_byte_in_a_compressed_array_is_noticed(tmp_path):
    # Everything behind the header but the lengths of elements is covered by a checksum.
    for at in range(140, len(PRESSED) - 1, 7):
        changed = bytearray(PRESSED)
        changed[at] ^= 0x55
        try:
            found = read(tmp_path / "a.mat", bytes(changed))
        except DataError:
            continue
        assert np.array_equal(found["X"], X.T)
        assert np.array_equal(found["y"], Y.T)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match=r"a.mat is missing; it should hold X \(4x5x3x7 bytes\)"):
        read_mat(tmp_path / "a.mat", room())
