"""Archives of NumPy arrays."""

import numpy as np
import pytest
import torch

from onelip import data
from onelip.data import DataError


@pytest.fixture
def stored():
    rng = np.random.default_rng(0)
    return {
        "x_train": rng.random((6, 2, 4, 3)),
        "y_train": np.arange(6) % 3,
        "x_test": rng.random((3, 2, 4, 3)),
        "y_test": np.arange(3),
    }


def load(tmp_path, stored):
    path = tmp_path / "mine.npz"
    np.savez(path, **stored)
    return data.load("arrays", path)


def test_numbers_keep_their_value_in_float32(tmp_path, stored):
    loaded = load(tmp_path, stored)
    assert (loaded.input_shape, loaded.classes) == ((2, 4, 3), ("0", "1", "2"))
    assert loaded.train.images.dtype == torch.float32
    assert np.array_equal(loaded.train.pixels().numpy(), stored["x_train"].astype(np.float32))
    assert loaded.test.labels.tolist() == [0, 1, 2]


def test_bytes_are_divided_by_255(tmp_path, stored):
    for key in ("x_train", "x_test"):
        stored[key] = (255 * stored[key]).astype(np.uint8)
    loaded = load(tmp_path, stored)
    assert loaded.train.images.dtype == torch.uint8
    assert np.array_equal(loaded.train.pixels().numpy(), (stored["x_train"] / np.float32(255)).astype(np.float32))


def test_images_without_channels_get_one(tmp_path, stored):
    stored["x_train"], stored["x_test"] = stored["x_train"][:, 0], stored["x_test"][:, 0]
    assert load(tmp_path, stored).input_shape == (1, 4, 3)


def test_class_names_may_be_stored(tmp_path, stored):
    assert load(tmp_path, stored | {"classes": np.array(["ant", "bee", "cat"])}).classes == ("ant", "bee", "cat")


@pytest.mark.parametrize(("value", "name"), [(np.nan, "NaN"), (np.inf, "inf"), (-np.inf, "inf")])
def test_the_first_number_that_is_not_finite_is_named(tmp_path, stored, value, name):
    stored["x_test"][1, 0, 2, 1] = stored["x_test"][2, 1, 0, 0] = value
    with pytest.raises(ValueError, match=rf"x_test in .*mine.npz holds {name} at index \(1, 0, 2, 1\)"):
        load(tmp_path, stored)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"x_train": np.full((6, 2, 4, 3), 1.5)}, r"x_train in .* holds 1.5 at index \(0, 0, 0, 0\); pixels must lie"),
        ({"x_train": np.full((6, 2, 4, 3), -1e-9)}, "holds -1e-09 at index"),
        ({"x_train": np.zeros((6, 2, 4, 3), np.int64)}, "dtype int64; it must be uint8"),
        ({"x_train": np.zeros((6, 24), np.uint8)}, r"shape \(6, 24\); it must be \(N, H, W\)"),
        ({"x_train": np.zeros((0, 2, 4, 3))}, "not empty"),
        ({"y_train": np.arange(5)}, r"y_train in .* has shape \(5,\); it must be \(6,\)"),
        ({"y_train": np.linspace(0, 1, 6)}, "dtype float64; it must be integers"),
        ({"y_train": np.array([0, 1, -2, 0, 0, 0])}, r"holds -2 at index \(2,\)"),
        ({"x_test": np.zeros((3, 2, 5, 3))}, "both must agree"),
        ({"x_test": np.zeros((3, 2, 4, 3), np.uint8)}, "scale 1, test images of .* scale 255; both must agree"),
        ({"classes": np.array(["ant", "bee"])}, "at least 3 strings"),
        ({"classes": np.arange(3)}, "dtype int64"),
        ({"y_train": np.array([{}] * 6, dtype=object)}, "cannot be read as a .npz file of plain arrays"),
    ],
)
def test_arrays_that_are_not_as_described_are_refused(tmp_path, stored, changes, sentence):
    with pytest.raises(DataError, match=sentence):
        load(tmp_path, stored | changes)


def test_a_missing_array_is_named(tmp_path, stored):
    del stored["y_test"]
    with pytest.raises(DataError, match="has no array y_test"):
        load(tmp_path, stored)


@pytest.mark.parametrize("keep", [0, 10, 1000, -1, -100])
def test_a_truncated_archive_is_refused(tmp_path, stored, keep):
    path = tmp_path / "mine.npz"
    np.savez_compressed(path, **stored)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(DataError, match=r"mine.npz cannot be read as a .npz file"):
        data.load("arrays", path)


def test_every_single_broken_byte_is_noticed_or_harmless(tmp_path, stored):
    path = tmp_path / "mine.npz"
    np.savez_compressed(path, **stored)
    whole = path.read_bytes()
    for at in range(0, len(whole), 37):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x41]) + whole[at + 1 :])
        try:
            loaded = data.load("arrays", path)
        except DataError:
            continue
        assert np.array_equal(loaded.train.pixels().numpy(), stored["x_train"].astype(np.float32))


@pytest.mark.parametrize("name", ["nothing.npz", "."])
def test_a_path_that_is_no_file_is_refused(tmp_path, name):
    with pytest.raises(DataError, match="is not a file"):
        data.load("arrays", tmp_path / name)
    (tmp_path / "plain.npz").write_text("text")
    with pytest.raises(DataError, match=r"plain.npz cannot be read"):
        data.load("arrays", tmp_path / "plain.npz")
