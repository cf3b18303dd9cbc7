"""Image files: what is listed, what is decoded, what is refused."""

import sys

import numpy as np
import pytest
from PIL import Image
from tests.data.pictures import write_noise, write_picture

from onelip.data import DataError
from onelip.data.image_files import folders_of, images_of, n_processors, opened, read_all, read_image


def test_folders_and_images_are_listed_in_order(tmp_path):
    for name in ("b.JPEG", "a.png", "c.BMP", ".hidden.png", "notes.txt"):
        (tmp_path / name).touch()
    (tmp_path / "z").mkdir()
    (tmp_path / "y").mkdir()
    (tmp_path / ".cache").mkdir()
    assert images_of(tmp_path) == ["a.png", "b.JPEG", "c.BMP"]
    assert folders_of(tmp_path, "") == ("y", "z")


def test_what_is_not_there_is_said(tmp_path):
    with pytest.raises(DataError, match="nowhere is missing; it needs this"):
        folders_of(tmp_path / "nowhere", "it needs this")
    with pytest.raises(DataError, match="has no folder; it needs one folder of image files per class"):
        folders_of(tmp_path, "")
    with pytest.raises(DataError, match=r"holds no image; it needs files ending in \.png"):
        images_of(tmp_path)
    assert images_of(tmp_path, required=False) == images_of(tmp_path / "nowhere", required=False) == []


@pytest.mark.parametrize(
    ("mode", "suffix", "shape"), [("L", "png", (10, 12)), ("RGB", "png", (10, 12, 3)), ("CMYK", "jpg", (10, 12, 3))]
)
def test_images_are_grey_or_coloured_bytes(tmp_path, mode, suffix, shape):
    write_picture(tmp_path / f"a.{suffix}", mode=mode)
    read = read_image(tmp_path / f"a.{suffix}")
    assert (read.shape, read.dtype) == (shape, np.uint8)


@pytest.mark.parametrize("keep", [0, 100, -200])
def test_a_truncated_file_is_named_whenever_it_shows(tmp_path, keep):
    path = tmp_path / "a.jpeg"
    write_noise(path, (64, 48))
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(DataError, match=r"a\.jpeg cannot be read as an image; replace or remove it"):
        read_image(path)


def test_a_missing_file_and_deep_pixels_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"a\.png is missing"):
        read_image(tmp_path / "a.png")
    Image.fromarray(np.zeros((4, 5), np.uint16)).save(tmp_path / "deep.png")
    with pytest.raises(DataError, match=r"deep\.png has pixel mode I;16, more than 8 bits"):
        read_image(tmp_path / "deep.png")


def test_what_is_raised_about_an_open_image_passes(tmp_path):
    write_picture(tmp_path / "a.png")
    with pytest.raises(DataError, match="too small"), opened(tmp_path / "a.png"):
        raise DataError("too small")


def test_without_pillow_one_sentence_says_so(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(DataError, match="needs Pillow; pip install pillow"):
        read_image(tmp_path / "a.png")


@pytest.mark.parametrize("threads", [1, 3])
def test_many_files_are_decoded_into_their_rows(tmp_path, threads):
    files = [tmp_path / f"{i}.png" for i in range(40)]
    expected = [write_noise(path, (5, 4), seed=i) for i, path in enumerate(files)]
    images, seen = np.zeros((40, 3, 4, 5), np.uint8), []
    read_all(40, lambda i: read_image(files[i]), images, threads, lambda *done: seen.append(done))
    assert np.array_equal(images, np.stack(expected).transpose(0, 3, 1, 2))
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert seen[-1] == (40, 40)


def test_the_first_error_ends_the_work():
    read = []

    def fail(i):
        read.append(i)
        raise DataError(f"{i} is broken")

    with pytest.raises(DataError, match="0 is broken"):
        read_all(10_000, fail, np.zeros((10_000, 3, 1, 1), np.uint8), 1)
    assert len(read) < 625


def test_there_is_a_processor():
    assert n_processors() >= 1
