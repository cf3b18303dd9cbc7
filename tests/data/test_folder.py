"""Image files in folders."""

import numpy as np
import pytest
from PIL import Image

from onelip import data
from onelip.data import DataError


def write(path, mode="RGB", size=(5, 4), value=7):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, value if mode in ("L", "P") else (value,) * len(mode)).save(path)


@pytest.fixture
def home(tmp_path):
    for part, n in (("train", 3), ("test", 2)):
        for label, name in enumerate(("ant", "bee")):
            for i in range(n):
                write(tmp_path / part / name / f"{i}.png", value=10 * i + label)
    return tmp_path


def test_classes_are_the_folders_in_alphabetical_order(home):
    loaded = data.load("folder", home)
    assert loaded.classes == ("ant", "bee")
    assert loaded.input_shape == (3, 4, 5)
    assert loaded.train.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert loaded.train.images[:, 0, 0, 0].tolist() == [0, 10, 20, 1, 11, 21]
    assert loaded.test.labels.tolist() == [0, 0, 1, 1]


def test_grey_files_give_one_channel(tmp_path):
    for part in ("train", "test"):
        write(tmp_path / part / "only" / "a.png", "L", value=200)
        write(tmp_path / part / "other" / "a.bmp", "L", value=100)
    loaded = data.load("folder", tmp_path)
    assert loaded.input_shape == (1, 4, 5)
    assert loaded.train.images.unique().tolist() == [100, 200]


@pytest.mark.parametrize(
    ("mode", "suffix"), [("L", "png"), ("P", "png"), ("RGBA", "png"), ("RGB", "JPG"), ("RGB", "jpeg")]
)
def test_mixed_files_become_rgb(home, mode, suffix):
    write(home / "train" / "ant" / f"9.{suffix}", mode)
    assert data.load("folder", home).input_shape == (3, 4, 5)


def test_planes_are_red_green_blue(home):
    Image.fromarray(np.arange(60, dtype=np.uint8).reshape(4, 5, 3)).save(home / "test" / "bee" / "z.png")
    image = data.load("folder", home).test.images[-1].numpy()
    assert np.array_equal(image, np.arange(60).reshape(4, 5, 3).transpose(2, 0, 1))


def test_other_and_hidden_files_are_skipped(home):
    (home / "train" / "ant" / "notes.txt").write_text("not an image")
    (home / "train" / "ant" / ".thumb.png").write_text("not an image")
    (home / "train" / ".cache").mkdir()
    assert len(data.load("folder", home).train) == 6


def test_progress_counts_the_files(home):
    seen = []
    data.load("folder", home, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(i, 10) for i in range(1, 11)]


@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n\x1a\n broken", None])
def test_a_broken_image_is_named(home, content):
    path = home / "train" / "bee" / "1.png"
    path.write_bytes(path.read_bytes()[:50] if content is None else content)
    with pytest.raises(DataError, match=r"bee.1.png cannot be read as an image"):
        data.load("folder", home)


def test_an_image_of_another_size_is_named(home):
    write(home / "test" / "bee" / "1.png", size=(5, 5))
    with pytest.raises(DataError, match=r"test.bee.1.png is 5x5 pixels, .*ant.0.png is 4x5; make all images the same"):
        data.load("folder", home)


def test_sixteen_bit_images_are_refused(home):
    Image.fromarray(np.zeros((4, 5), np.uint16)).save(home / "train" / "ant" / "deep.png")
    with pytest.raises(DataError, match=r"deep.png has pixel mode I;16, more than 8 bits"):
        data.load("folder", home)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda home: (home / "train").rename(home / "training"), "train is missing"),
        (lambda home: (home / "test").rename(home / "val"), "test is missing"),
        (lambda home: write(home / "test" / "cow" / "0.png"), "cow is a class that .*train does not have"),
        (lambda home: (home / "train" / "dog").mkdir(), "dog holds no image"),
        (lambda home: [p.unlink() for p in home.glob("test/*/*")], "test holds no image"),
    ],
)
def test_an_incomplete_tree_is_refused(home, change, sentence):
    change(home)
    with pytest.raises(DataError, match=sentence):
        data.load("folder", home)


def test_a_file_instead_of_a_folder_is_refused(home):
    with pytest.raises(DataError, match="is not a folder"):
        data.load("folder", home / "train" / "ant" / "0.png")
