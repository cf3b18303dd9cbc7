"""Tiny-ImageNet's own folders: read right, decoded once, refused when broken."""

import os
import zipfile

import numpy as np
import pytest
import torch
from tests.data.pictures import write_noise, write_picture

from onelip import data
from onelip.data import DataError, tiny_imagenet

CLASSES = ("n02", "n01")


@pytest.fixture
def home(tmp_path, monkeypatch):
    for name, value in (("N_CLASSES", 2), ("N_TRAIN", 6), ("N_VALIDATION", 4)):
        monkeypatch.setattr(tiny_imagenet, name, value)
    home = tmp_path / tiny_imagenet.FOLDER
    for name in CLASSES:
        for i in range(3):
            write_noise(home / "train" / name / "images" / f"{name}_{i}.JPEG", (64, 64), seed=i)
        (home / "train" / name / f"{name}_boxes.txt").write_text(f"{name}_0.JPEG\t0\t0\t63\t63\n")
    for i in range(4):
        write_picture(
            home / "val" / "images" / f"val_{i}.JPEG", (64, 64), (60 * i, 0, 9), mode="L" if i == 3 else "RGB"
        )
    lines = [f"val_{i}.JPEG\t{CLASSES[i % 2]}\t0\t32\t44\t62\n" for i in range(4)]
    (home / "val" / "val_annotations.txt").write_text("".join(lines))
    (home / "wnids.txt").write_text("n02\nn01\n")
    (home / "words.txt").write_text("n00\tentity\nn01\tgoldfish, Carassius auratus\nn02\tfire salamander\n")
    return home


def count_reads(monkeypatch):
    read, opened = [], tiny_imagenet.opened
    monkeypatch.setattr(tiny_imagenet, "opened", lambda path: read.append(path) or opened(path))
    return read


@pytest.mark.parametrize("inner", [True, False])
def test_the_original_folders_are_read(home, inner):
    loaded = data.load("tiny-imagenet", home if inner else home.parent, threads=2)
    assert loaded.classes == ("goldfish", "fire salamander")
    assert (loaded.input_shape, loaded.train.images.dtype, loaded.train.scale) == ((3, 64, 64), torch.uint8, 255.0)
    assert loaded.train.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert loaded.test.labels.tolist() == [1, 0, 1, 0]
    reds = loaded.test.images[:, 0].float().mean((1, 2))
    assert torch.allclose(reds, torch.tensor([0.0, 60.0, 120.0, 180.0]), atol=2.0)
    # Grey files have three equal channels.
    assert torch.equal(loaded.test.images[3, 0], loaded.test.images[3, 2])


def test_images_are_decoded_once_until_a_file_changes(home, monkeypatch):
    read, seen = count_reads(monkeypatch), []
    first = data.load("tiny-imagenet", home, lambda *done: seen.append(done))
    assert (len(read), seen[-1]) == (10, (10, 10))
    second = data.load("tiny-imagenet", home, lambda *done: seen.append(done))
    assert (len(read), seen[-1]) == (10, (10, 10))
    for part in ("train", "test"):
        assert torch.equal(getattr(first, part).images, getattr(second, part).images)
    changed = home / "train" / "n01" / "images" / "n01_0.JPEG"
    os.utime(changed, ns=(0, 1))
    data.load("tiny-imagenet", home)
    assert len(read) == 20
    assert sorted(p.name for p in home.iterdir()) == sorted(
        [tiny_imagenet.DECODED, "train", "val", "wnids.txt", "words.txt"]
    )


@pytest.mark.parametrize("content", [b"", b"PK\3\4 broken", None])
def test_a_broken_file_of_decoded_images_is_made_anew(home, monkeypatch, content):
    first, kept = data.load("tiny-imagenet", home), home / tiny_imagenet.DECODED
    kept.write_bytes(kept.read_bytes()[:2000] if content is None else content)
    read = count_reads(monkeypatch)
    again = data.load("tiny-imagenet", home)
    assert len(read) == 10
    assert torch.equal(again.train.images, first.train.images)
    with np.load(kept) as stored:
        assert stored["images"].shape == (10, 3, 64, 64)


def test_a_folder_that_cannot_be_written_to_is_read_all_the_same(home, monkeypatch):
    def refuse(path):
        raise PermissionError(path)

    monkeypatch.setattr(tiny_imagenet, "atomic_path", refuse)
    assert len(data.load("tiny-imagenet", home).train) == 6
    assert not (home / tiny_imagenet.DECODED).exists()


def cut(path):
    path.write_bytes(path.read_bytes()[:400])


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            lambda home: (home / "wnids.txt").unlink(),
            r"wnids.txt is missing or no text file; .*needs wnids.txt, train/",
        ),
        (lambda home: (home / "wnids.txt").write_text("n01"), r"1 classes in .*wnids.txt, expected 2"),
        (
            lambda home: (home / "train/n01/images/n01_2.JPEG").unlink(),
            r"5 images in .*train, expected 6; the data set",
        ),
        (lambda home: (home / "val/images/val_2.JPEG").unlink(), r"line 3 of .*val_annotations.txt names 'val_2.JPEG'"),
        (
            lambda home: (home / "val/val_annotations.txt").write_text("val_1.JPEG n01"),
            r"1 images in .*val, expected 4",
        ),
        (
            lambda home: (home / "val/val_annotations.txt").unlink(),
            r"val_annotations.txt cannot be read as a text file",
        ),
        (lambda home: cut(home / "train/n02/images/n02_1.JPEG"), r"n02_1.JPEG cannot be read as an image; replace or"),
        (
            lambda home: write_picture(home / "val/images/val_0.JPEG"),
            r"val_0.JPEG is 10x12 pixels; Tiny-ImageNet has 64",
        ),
    ],
)
def test_broken_and_incomplete_folders_are_refused(home, change, sentence):
    change(home)
    with pytest.raises(DataError, match=sentence):
        data.load("tiny-imagenet", home)
    assert not (home / tiny_imagenet.DECODED).exists()


def test_wrong_arguments_are_refused(home):
    with pytest.raises(DataError, match=r"nowhere.* is not a folder; data set 'tiny-imagenet' needs wnids.txt"):
        data.load("tiny-imagenet", home / "nowhere")
    with pytest.raises(ValueError, match="threads=0 of data set 'tiny-imagenet' must be an integer >= 1"):
        data.load("tiny-imagenet", home, threads=0)


def test_without_a_folder_the_archive_is_fetched_verified_and_kept(home, tmp_path, monkeypatch):
    archive, calls = tmp_path / "archive.zip", []
    with zipfile.ZipFile(archive, "w") as opened:
        for path in sorted(home.rglob("*")):
            opened.write(path, path.relative_to(tmp_path))

    def fetch(url, destination, sha256, progress):
        calls.append((url, sha256))
        destination.write_bytes(archive.read_bytes())

    monkeypatch.setattr(tiny_imagenet, "download", fetch)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    first, second = data.load("tiny-imagenet"), data.load("tiny-imagenet")
    assert calls == [(tiny_imagenet.URL, tiny_imagenet.SHA256)]
    assert torch.equal(first.train.images, second.train.images)
    # Neither the archive nor a temporary folder is left.
    assert [path.name for path in (tmp_path / "cache" / "onelip").iterdir()] == [tiny_imagenet.FOLDER]


def test_the_pinned_archive_is_the_public_one():
    assert tiny_imagenet.URL == "http://cs231n.stanford.edu/tiny-imagenet-200.zip"
    assert len(tiny_imagenet.SHA256) == 64
