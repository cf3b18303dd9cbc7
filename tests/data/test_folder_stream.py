"""Image files of any size in folders of classes, read while training."""

import shutil

import pytest
import torch
from tests.data.pictures import write_classes

from onelip import data
from onelip.data import DataError, StreamedImages


@pytest.fixture
def home(tmp_path):
    write_classes(tmp_path / "train", ("ant", "bee"), 3)
    write_classes(tmp_path / "val", ("ant", "bee"), 2)
    return tmp_path


def test_folders_become_images_on_disk(home):
    loaded = data.load("folder-stream", home, size=8, resize=9, threads=2)
    assert (loaded.classes, loaded.input_shape) == (("ant", "bee"), (3, 8, 8))
    assert isinstance(loaded.train, StreamedImages)
    assert (loaded.train.resize, loaded.train.threads, loaded.train.root) == (9, 2, home / "train")
    assert loaded.train.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert loaded.test.labels.tolist() == [0, 0, 1, 1]
    reds = (255 * loaded.train.pixels()[:, 0].mean((1, 2))).round()
    assert torch.allclose(reds, torch.tensor([0.0, 20.0, 40.0] * 2), atol=2.0)


def test_the_default_is_the_size_of_imagenet(home):
    assert data.load("folder-stream", home).input_shape == (3, 224, 224)


def test_a_folder_test_goes_before_val(home):
    write_classes(home / "test", ("bee",), 1)
    loaded = data.load("folder-stream", home)
    assert loaded.test.labels.tolist() == [1]
    assert loaded.test.root == home / "test"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda home: shutil.rmtree(home / "train"), r"train is missing; data set 'folder-stream' needs train/CLASS/"),
        (lambda home: shutil.rmtree(home / "val"), r"val is missing; data set 'folder-stream' needs train/CLASS/"),
        (lambda home: shutil.rmtree(home / "train" / "bee"), r"bee is a folder of no class"),
        (lambda home: (home / "train" / "cow").mkdir(), r"cow holds no image"),
        (lambda home: [p.unlink() for p in home.glob("val/*/*")], r"test part of folder-stream is empty"),
    ],
)
def test_an_incomplete_tree_is_refused(home, change, sentence):
    change(home)
    with pytest.raises(DataError, match=sentence):
        data.load("folder-stream", home)


def test_a_missing_folder_and_a_wrong_size_are_refused(home):
    with pytest.raises(DataError, match=r"nowhere.* is not a folder; data set 'folder-stream' needs"):
        data.load("folder-stream", home / "nowhere")
    with pytest.raises(ValueError, match="resize=256 in StreamedImages must be an integer >= 300"):
        data.load("folder-stream", home, size=300)
