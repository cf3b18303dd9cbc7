"""Arrays of .npz files, mapped where they can be."""

import io
import zipfile

import numpy as np
import pytest

from onelip.data.npz import array_names, open_arrays

ARRAYS = {
    "image": np.arange(240, dtype=np.uint8).reshape(2, 4, 10, 3),
    "label": np.array([3, 1], dtype=np.int32),
    "turned": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "number": np.array(7.5),
}


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_arrays_are_those_of_numpy(tmp_path, save):
    path = tmp_path / "some.npz"
    save(path, **ARRAYS)
    opened = open_arrays(path, ARRAYS)
    assert array_names(path) == set(ARRAYS)
    for name, array in ARRAYS.items():
        assert opened[name].dtype == array.dtype
        assert np.array_equal(opened[name], array)
        assert isinstance(opened[name], np.memmap) == (save is np.savez)


def test_mapped_arrays_can_be_written_and_the_file_stays(tmp_path):
    path = tmp_path / "some.npz"
    np.savez(path, **ARRAYS)
    before = path.read_bytes()
    opened = open_arrays(path, ["image"])["image"]
    opened[0] = 0
    assert opened[0].sum() == 0
    assert path.read_bytes() == before


def test_headers_of_the_second_version_are_read(tmp_path):
    path, array = tmp_path / "some.npz", np.arange(5)
    stream = io.BytesIO()
    np.lib.format.write_array(stream, array, version=(2, 0))
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", stream.getvalue())
    assert np.array_equal(open_arrays(path, ["x"])["x"], array)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_pickled_objects_are_refused(tmp_path, save):
    path = tmp_path / "some.npz"
    save(path, label=np.array([{}, []], dtype=object))
    with pytest.raises(ValueError, match=r"pickled objects|Object arrays cannot be loaded"):
        open_arrays(path, ["label"])


def test_bytes_that_are_not_all_there_are_refused(tmp_path):
    path, stream = tmp_path / "some.npz", io.BytesIO()
    np.save(stream, np.arange(100))
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", stream.getvalue()[:-8])
    with pytest.raises(ValueError, match=r"x.npy in .* has 920 bytes, not those of shape \(100,\)"):
        open_arrays(path, ["x"])
