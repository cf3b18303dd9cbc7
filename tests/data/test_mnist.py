"""IDX files: read right, and refused when broken."""

import gzip

import numpy as np
import pytest
from tests.data.idx import idx, write_idx

from onelip import data
from onelip.data import DataError
from onelip.data import mnist as module

NAMES = ("mnist", "fashion-mnist")
IMAGES, LABELS = "train-images-idx3-ubyte", "t10k-labels-idx1-ubyte"


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    monkeypatch.setattr(module, "N_TRAIN", 20)
    monkeypatch.setattr(module, "N_TEST", 10)


@pytest.fixture
def arrays(tmp_path):
    return write_idx(tmp_path, 20, 10)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("compressed", [True, False])
def test_files_are_read_compressed_or_not(name, compressed, tmp_path, arrays):
    if not compressed:
        for path in list(tmp_path.iterdir()):
            path.with_suffix("").write_bytes(gzip.decompress(path.read_bytes()))
            path.unlink()
    loaded = data.load(name, tmp_path)
    assert (loaded.input_shape, loaded.n_classes, loaded.train.scale) == ((1, 28, 28), 10, 255.0)
    assert np.array_equal(loaded.train.images[:, 0].numpy(), arrays[IMAGES])
    assert np.array_equal(loaded.test.labels.numpy(), arrays[LABELS])


def truncated(content):
    return content[:-20]


@pytest.mark.parametrize(
    ("name", "change", "sentence"),
    [
        (IMAGES, truncated, "cannot be decompressed .*; it is truncated or no gzip file"),
        (IMAGES, lambda c: b"<html>", "cannot be decompressed"),
        (IMAGES, lambda c: c[:60] + bytes([c[60] ^ 255]) + c[61:], "cannot be decompressed"),
        (
            IMAGES,
            lambda c: gzip.compress(truncated(gzip.decompress(c))),
            r"holds 15660 bytes after its header, expected 15680 \(20 x 28 x 28\)",
        ),
        (IMAGES, lambda c: gzip.compress(gzip.decompress(c) + b"0"), r"holds more than 15680 bytes after its header"),
        (
            IMAGES,
            lambda c: gzip.compress(idx(np.zeros((20, 28, 27), np.uint8))),
            "holds 20 x 28 x 27 bytes by its header, expected 20 x 28 x 28",
        ),
        (IMAGES, lambda c: gzip.compress(b""), "begins with nothing, expected 00000803 and its shape"),
        (LABELS, lambda c: gzip.compress(idx(np.zeros(9, np.uint8))), "holds 9 bytes by its header, expected 10"),
        (
            LABELS,
            lambda c: gzip.compress(idx(np.full(10, 10, np.uint8))),
            r"t10k-labels-idx1-ubyte.gz has label 10 at 0; labels are 0\.\.9",
        ),
    ],
)
def test_broken_files_are_refused(name, change, sentence, tmp_path, arrays):
    path = tmp_path / f"{name}.gz"
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(DataError, match=sentence):
        data.load("mnist", tmp_path)


def test_missing_files_and_folders_are_named(tmp_path, arrays):
    (tmp_path / f"{LABELS}.gz").unlink()
    with pytest.raises(DataError, match=rf"{LABELS}.gz is missing; it should hold 10 bytes in IDX format"):
        data.load("mnist", tmp_path)
    with pytest.raises(DataError, match=r"nowhere.* is not a folder; fashion-mnist needs one with train-images"):
        data.load("fashion-mnist", tmp_path / "nowhere")


@pytest.mark.parametrize(("name", "files"), [("mnist", module.MNIST), ("fashion-mnist", module.FASHION_MNIST)])
def test_without_a_folder_each_file_is_fetched_once_and_verified(name, files, tmp_path, monkeypatch):
    public = tmp_path / "public"
    public.mkdir()
    write_idx(public, 20, 10)
    calls = []

    def fetch(url, destination, sha256, progress):
        calls.append((url, sha256))
        destination.parent.mkdir(parents=True, exist_ok=True)
        destination.write_bytes((public / destination.name).read_bytes())

    monkeypatch.setattr(module, "download", fetch)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    data.load(name)
    data.load(name)
    assert calls == [(files.url + file, digest) for file, digest in files.sha256.items()]
    # One that is missing again is fetched again, alone.
    (tmp_path / "cache" / "onelip" / name / f"{LABELS}.gz").unlink()
    data.load(name)
    assert [url for url, _ in calls[4:]] == [f"{files.url}{LABELS}.gz"]


def test_the_pinned_digests_are_four_different_ones():
    digests = [digest for files in (module.MNIST, module.FASHION_MNIST) for digest in files.sha256.values()]
    assert len(set(digests)) == 8
    assert {len(digest) for digest in digests} == {64}
