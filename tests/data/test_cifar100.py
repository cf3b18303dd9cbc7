"""CIFAR-100's binary layout: the fine label counts, and pickles are not read."""

import pickle
import tarfile

import numpy as np
import pytest

from onelip import data
from onelip.data import DataError, cifar100, cifar_files

N_TRAIN, N_TEST = 100, 20


class Trap:
    """Creates a file when it is read as a pickle."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return open, (self.path, "w")


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    monkeypatch.setattr(cifar100, "N_TRAIN", N_TRAIN)
    monkeypatch.setattr(cifar100, "N_TEST", N_TEST)


@pytest.fixture
def records():
    """Records of the two files: a coarse label, a fine one and 3072 bytes of colours."""
    made = np.random.default_rng(0).integers(0, 256, (N_TRAIN + N_TEST, 3074), dtype=np.uint8)
    made[:, 0], made[:, 1] = np.arange(len(made)) % 20, 99 - np.arange(len(made)) % 100
    return made


@pytest.fixture
def folder(tmp_path, records):
    home = tmp_path / cifar100.FOLDER
    home.mkdir()
    records[:N_TRAIN].tofile(home / "train.bin")
    records[N_TRAIN:].tofile(home / "test.bin")
    return home


@pytest.mark.parametrize("inner", [True, False])
def test_the_second_byte_is_the_label(folder, records, inner):
    loaded = data.load("cifar100", folder if inner else folder.parent)
    assert (len(loaded.train), len(loaded.test), loaded.input_shape) == (N_TRAIN, N_TEST, (3, 32, 32))
    assert loaded.train.labels.tolist() == records[:N_TRAIN, 1].tolist()
    assert loaded.test.labels.tolist() == records[N_TRAIN:, 1].tolist()
    assert np.array_equal(loaded.train.images[7, 1, 3].numpy(), records[7, 2 + 1024 + 96 : 2 + 1024 + 128])
    assert np.array_equal(loaded.test.images[3].numpy().ravel(), records[N_TRAIN + 3, 2:])


def test_the_classes_are_the_hundred_fine_ones():
    assert len(set(cifar100.CLASSES)) == 100
    assert list(cifar100.CLASSES) == sorted(cifar100.CLASSES)
    assert (cifar100.CLASSES[0], cifar100.CLASSES[53], cifar100.CLASSES[99]) == ("apple", "orange", "worm")


@pytest.mark.parametrize("inner", ["", "cifar-100-python"])
def test_the_python_version_is_refused_unread(tmp_path, inner):
    home, trace = tmp_path / "home" / inner, tmp_path / "trace"
    home.mkdir(parents=True)
    with (home / "train").open("wb") as file:
        pickle.dump(Trap(trace), file)
    with pytest.raises(DataError, match=r"train is CIFAR-100 for Python, a pickle.*fetch the binary version, https"):
        data.load("cifar100", tmp_path / "home")
    assert not trace.exists()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda home: (home / "test.bin").unlink(), "test.bin is missing; it should hold 20 records of 3074 bytes"),
        (lambda home: (home / "train.bin").write_bytes(b"\0" * 3074), "train.bin has 3074 bytes, expected 307400"),
        (
            lambda home: (home / "test.bin").write_bytes(bytes([0, 100] + [0] * 3072) * N_TEST),
            r"test.bin has label 100 in record 0; labels of CIFAR-100 are 0..99",
        ),
    ],
)
def test_broken_files_are_refused(folder, change, sentence):
    change(folder)
    with pytest.raises(DataError, match=sentence):
        data.load("cifar100", folder)


def test_without_a_folder_the_archive_is_fetched_and_kept(folder, tmp_path, monkeypatch):
    archive = tmp_path / "archive"
    with tarfile.open(archive, "w:gz") as opened:
        opened.add(folder, arcname=cifar100.FOLDER)
    calls = []

    def fetch(url, destination, sha256, progress):
        calls.append((url, sha256))
        destination.write_bytes(archive.read_bytes())

    monkeypatch.setattr(cifar_files, "download", fetch)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    first, second = data.load("cifar100"), data.load("cifar100")
    assert calls == [(cifar100.URL, cifar100.SHA256)]
    assert np.array_equal(first.train.images.numpy(), second.train.images.numpy())


def test_the_pinned_archive_is_the_public_one():
    assert cifar100.URL == "https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz"
    assert len(cifar100.SHA256) == 64
