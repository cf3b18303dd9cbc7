"""SVHN's MATLAB files: read right, and refused when broken."""

import numpy as np
import pytest
import scipy.io
from tests.data.house_numbers import shrink, write_svhn

from onelip import data
from onelip.data import DataError, svhn


@pytest.fixture
def arrays(tmp_path, monkeypatch):
    shrink(monkeypatch)
    return write_svhn(tmp_path)


def test_images_and_digits_are_those_of_the_files(tmp_path, arrays):
    loaded = data.load("svhn", tmp_path)
    assert (loaded.input_shape, loaded.n_classes, loaded.train.scale) == ((3, 32, 32), 10, 255.0)
    for part, name in ((loaded.train, svhn.TRAIN_FILE), (loaded.test, svhn.TEST_FILE)):
        x, y = scipy.io.loadmat(tmp_path / name)["X"], scipy.io.loadmat(tmp_path / name)["y"]
        # Height, width, colour, number in MATLAB.
        assert np.array_equal(part.images.numpy(), x.transpose(3, 2, 0, 1))
        assert part.labels.tolist() == [0 if digit == 10 else digit for digit in y[:, 0].tolist()]


def test_extra_images_follow_the_training_images(tmp_path, arrays):
    loaded, seen = data.load("svhn", tmp_path, extra=True), []
    assert (len(loaded.train), len(loaded.test)) == (12, 4)
    assert np.array_equal(loaded.train.images[7:].numpy(), arrays[svhn.EXTRA_FILE][0].transpose(3, 2, 0, 1))
    assert np.array_equal(loaded.test.images.numpy(), arrays[svhn.TEST_FILE][0].transpose(3, 2, 0, 1))
    data.load("svhn", tmp_path, lambda *done: seen.append(done))
    assert seen == [(7, 11), (11, 11)]


def rewrite(name, **changes):
    def write(home):
        stored = {key: scipy.io.loadmat(home / name)[key] for key in ("X", "y")}
        stored |= {key: change(stored[key]) for key, change in changes.items()}
        scipy.io.savemat(home / name, stored, do_compression=True)

    return write


def with_label(value):
    return lambda y: np.where(np.arange(len(y))[:, None] == 2, np.uint8(value), y)


def cut(home):
    path = home / svhn.TRAIN_FILE
    path.write_bytes(path.read_bytes()[:-100])


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda home: (home / svhn.TEST_FILE).unlink(), r"test_32x32.mat is missing; it should hold X \(32x32x3x4 by"),
        (cut, r"train_32x32.mat has \d+ bytes, and an array in it ends at \d+; it is truncated"),
        (lambda home: (home / svhn.TRAIN_FILE).write_bytes(b"<html>" * 99), "train_32x32.mat is no MATLAB file of le"),
        (rewrite(svhn.TRAIN_FILE, X=lambda x: x[..., :6]), r"X in .* has shape 32x32x3x6, expected 32x32x3x7"),
        (rewrite(svhn.TEST_FILE, X=lambda x: x / 255), r"X in .*test_32x32.mat is not stored as 12288 bytes"),
        (rewrite(svhn.TEST_FILE, y=lambda y: y[:3]), r"y in .*test_32x32.mat has shape 3x1, expected 4x1"),
        (
            rewrite(svhn.TEST_FILE, y=with_label(0)),
            r"test_32x32.mat has label 0 at 2; labels of SVHN are 1..10, 10 for",
        ),
        (rewrite(svhn.TEST_FILE, y=with_label(11)), r"test_32x32.mat has label 11 at 2"),
    ],
)
def test_broken_files_are_refused(tmp_path, arrays, change, sentence):
    change(tmp_path)
    with pytest.raises(DataError, match=sentence):
        data.load("svhn", tmp_path)


def test_wrong_arguments_are_refused(tmp_path, arrays):
    with pytest.raises(
        DataError, match=r"nowhere.* is not a folder; data set 'svhn' needs one with train_32x32.mat and"
    ):
        data.load("svhn", tmp_path / "nowhere")
    with pytest.raises(ValueError, match="extra=1 of data set 'svhn' must be true or false"):
        data.load("svhn", tmp_path, extra=1)
    (tmp_path / svhn.EXTRA_FILE).unlink()
    assert len(data.load("svhn", tmp_path).train) == 7
    with pytest.raises(DataError, match=r"extra_32x32.mat is missing"):
        data.load("svhn", tmp_path, extra=True)


def test_the_pinned_files_are_the_public_ones():
    assert svhn.URL == "http://ufldl.stanford.edu/housenumbers/"
    assert (svhn.N_TRAIN, svhn.N_TEST, svhn.N_EXTRA) == (73_257, 26_032, 531_131)
    assert {len(digest) for digest in svhn.SHA256.values()} == {64}
