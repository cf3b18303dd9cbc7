"""STL-10's binary layout: read right, and refused when broken."""

import numpy as np
import pytest
from tests.data.stl10_files import shrink, write_stl10

from onelip import data
from onelip.data import DataError, stl10


@pytest.fixture
def home(tmp_path):
    return tmp_path / stl10.FOLDER


@pytest.fixture
def written(home, monkeypatch):
    shrink(monkeypatch)
    return write_stl10(home)


@pytest.mark.parametrize("inner", [True, False])
def test_images_and_labels_are_those_of_the_files(home, written, inner):
    parts, _ = written
    loaded = data.load("stl10", home if inner else home.parent)
    assert (loaded.input_shape, loaded.classes[7], loaded.train.scale) == ((3, 96, 96), "monkey", 255.0)
    for part in ("train", "test"):
        images, labels = parts[part]
        assert np.array_equal(getattr(loaded, part).images.numpy(), images.transpose(0, 3, 1, 2))
        assert getattr(loaded, part).labels.tolist() == (labels.astype(int) - 1).tolist()


@pytest.mark.parametrize("fold", [0, 9])
def test_a_fold_has_its_images_in_its_order(home, written, fold):
    parts, folds = written
    loaded = data.load("stl10", home, fold=fold)
    assert np.array_equal(loaded.train.images.numpy(), parts["train"][0][folds[fold]].transpose(0, 3, 1, 2))
    assert loaded.train.labels.tolist() == [parts["train"][1][i] - 1 for i in folds[fold]]
    assert len(loaded.test) == 5


def test_only_what_is_needed_has_to_be_there(home, written):
    (home / "fold_indices.txt").unlink()
    (home / "class_names.txt").unlink()
    assert len(data.load("stl10", home).train) == 12
    with pytest.raises(DataError, match=r"fold_indices.txt is missing or no text file"):
        data.load("stl10", home, fold=3)


def with_first(name, value):
    def write(home):
        path = home / name
        path.write_bytes(bytes([value]) + path.read_bytes()[1:])

    return write


def with_line(text):
    def write(home):
        path = home / "fold_indices.txt"
        path.write_text("".join([text, *path.read_text().splitlines(keepends=True)[1:]]))

    return write


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda home: (home / "test_X.bin").unlink(), "test_X.bin is missing; it should hold 5 records of 27648 bytes"),
        (lambda home: (home / "train_y.bin").unlink(), "train_y.bin is missing; it should hold 12 records of 1 bytes"),
        (
            lambda home: (home / "train_X.bin").write_bytes(b"0" * 1000),
            r"train_X.bin has 1000 bytes, expected 331776 \(12 records of 27648\); it is truncated or not STL-10",
        ),
        (lambda home: (home / "test_y.bin").write_bytes(b"\1" * 6), "test_y.bin has 6 bytes, expected 5"),
        (with_first("test_y.bin", 0), "test_y.bin has label 0 at 0; labels of STL-10 are 1..10"),
        (with_first("train_y.bin", 11), "train_y.bin has label 11 at 0"),
        (lambda home: (home / "class_names.txt").write_text("cat\ndog"), "class_names.txt does not name the classes"),
        (lambda home: (home / "class_names.txt").write_bytes(b"\xff"), "class_names.txt is missing or no text file"),
        (
            lambda home: (home / "fold_indices.txt").write_text("1 2 3 4\n"),
            "fold_indices.txt has 1 lines, expected one",
        ),
        (with_line("1 2 3\n"), r"line 1 of .*fold_indices.txt does not hold 4 indices in 0..11"),
        (with_line("1 2 3 12\n"), "line 1 of .*fold_indices.txt does not hold 4 indices"),
        (with_line("1 2 3 x\n"), "line 1 of .*fold_indices.txt does not hold 4 indices"),
        (with_line("1 2 3 01\n"), "line 1 of .*fold_indices.txt holds an index twice"),
    ],
)
def test_broken_files_are_refused(home, written, change, sentence):
    change(home)
    with pytest.raises(DataError, match=sentence):
        data.load("stl10", home, fold=0)


@pytest.mark.parametrize("fold", [-1, 10, True, "0", 1.0])
def test_there_are_ten_folds(home, written, fold):
    with pytest.raises(ValueError, match=r"fold=.* of data set 'stl10' must be an integer in 0..9"):
        data.load("stl10", home, fold=fold)


def test_a_missing_folder_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"nowhere.* is not a folder; data set 'stl10' needs one with train_X.bin"):
        data.load("stl10", tmp_path / "nowhere")


def test_the_pinned_archive_is_the_public_one():
    assert stl10.URL == "http://ai.stanford.edu/~acoates/stl10/stl10_binary.tar.gz"
    assert (stl10.N_TRAIN, stl10.N_TEST, stl10.N_FOLDS, stl10.N_OF_FOLD) == (5000, 8000, 10, 1000)
    assert len(stl10.SHA256) == 64
