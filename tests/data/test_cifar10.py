"""CIFAR-10's binary layout: read right, and refused when broken."""

import tarfile

import numpy as np
import pytest

from onelip import data
from onelip.data import DataError, cifar10, cifar_files

N = 20
FILES = (*cifar10.TRAIN_FILES, cifar10.TEST_FILE)


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    monkeypatch.setattr(cifar10, "N_RECORDS", N)


@pytest.fixture
def records():
    """Records of the six files: `(6, N, 3073)` bytes."""
    made = np.random.default_rng(0).integers(0, 256, (6, N, 3073), dtype=np.uint8)
    made[:, :, 0] = np.arange(N) % 10
    return made


@pytest.fixture
def folder(tmp_path, records):
    home = tmp_path / cifar10.FOLDER
    home.mkdir()
    for name, part in zip(FILES, records, strict=True):
        part.tofile(home / name)
    return home


def archive_of(folder, path):
    with tarfile.open(path, "w:gz") as archive:
        archive.add(folder, arcname=cifar10.FOLDER)
    return path


@pytest.mark.parametrize("inner", [True, False])
def test_files_are_read_from_the_folder_or_the_one_that_holds_it(folder, records, inner):
    loaded = data.load("cifar10", folder if inner else folder.parent)
    assert (len(loaded.train), len(loaded.test), loaded.input_shape) == (5 * N, N, (3, 32, 32))
    assert loaded.classes[3] == "cat"
    assert loaded.train.scale == 255.0
    # Label byte first, then the red, green and blue planes row by row.
    image = loaded.train.images[N + 7].numpy()
    assert loaded.train.labels[N + 7] == records[1, 7, 0]
    assert np.array_equal(image[2, 5], records[1, 7, 1 + 2 * 1024 + 5 * 32 : 1 + 2 * 1024 + 6 * 32])
    assert np.array_equal(loaded.test.images[3].numpy().ravel(), records[5, 3, 1:])


def test_progress_ends_at_the_total(folder):
    seen = []
    data.load("cifar10", folder, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (6 * N * 3073, 6 * N * 3073)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


@pytest.mark.parametrize("missing", ["data_batch_4.bin", "test_batch.bin"])
def test_a_missing_file_is_named(folder, missing):
    (folder / missing).unlink()
    with pytest.raises(DataError, match=rf"{missing} is missing; it should hold {N} records of 3073 bytes"):
        data.load("cifar10", folder)


@pytest.mark.parametrize("n_bytes", [N * 3073 - 1, (N - 1) * 3073, 0, (N + 1) * 3073])
def test_a_truncated_or_too_long_file_is_refused(folder, n_bytes):
    path = folder / "data_batch_2.bin"
    path.write_bytes((path.read_bytes() * 2)[:n_bytes])
    with pytest.raises(DataError, match=rf"data_batch_2.bin has {n_bytes} bytes, expected {N * 3073}"):
        data.load("cifar10", folder)


def test_a_label_above_9_is_refused(folder, records):
    records[3, 5, 0] = 10
    records[3].tofile(folder / FILES[3])
    with pytest.raises(DataError, match=r"data_batch_4.bin has label 10 in record 5; labels of CIFAR-10 are 0..9"):
        data.load("cifar10", folder)


def test_a_folder_that_does_not_exist_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"nowhere.* is not a folder"):
        data.load("cifar10", tmp_path / "nowhere")


def test_without_a_folder_the_archive_is_fetched_verified_and_kept(folder, tmp_path, monkeypatch):
    archive = archive_of(folder, tmp_path / "cifar-10-binary.tar.gz")
    calls = []

    def fetch(url, destination, sha256, progress):
        calls.append((url, sha256))
        destination.write_bytes(archive.read_bytes())

    monkeypatch.setattr(cifar_files, "download", fetch)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    first, second = data.load("cifar10"), data.load("cifar10")
    assert calls == [(cifar10.URL, cifar10.SHA256)]
    assert np.array_equal(first.train.images.numpy(), second.train.images.numpy())
    kept = tmp_path / "cache" / "onelip" / cifar10.FOLDER
    assert sorted(path.name for path in kept.iterdir()) == sorted(FILES)
    # Neither the archive nor a temporary folder is left.
    assert [path.name for path in kept.parent.iterdir()] == [cifar10.FOLDER]


def test_the_pinned_archive_is_the_public_one():
    assert cifar10.URL == "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"
    assert len(cifar10.SHA256) == 64
