"""ImageNet's folders, whole or refused."""

import shutil

import pytest
from tests.data.pictures import write_classes

from onelip import data
from onelip.data import DataError, imagenet

CLASSES = ("n01440764", "n01443537", "n01484850")


@pytest.fixture
def home(tmp_path, monkeypatch):
    for name, value in (("N_CLASSES", 3), ("N_TRAIN", 9), ("N_VALIDATION", 6)):
        monkeypatch.setattr(imagenet, name, value)
    write_classes(tmp_path / "train", CLASSES, 3)
    write_classes(tmp_path / "val", CLASSES, 2)
    return tmp_path


def flatten(home, listing, text):
    for path in list((home / "val").glob("*/*")):
        path.rename(home / "val" / path.name)
    for name in CLASSES:
        (home / "val" / name).rmdir()
    (home / listing).write_text(text)


def test_validation_images_are_the_test_part(home):
    loaded = data.load("imagenet", home, threads=1)
    assert (loaded.classes, loaded.input_shape) == (CLASSES, (3, 224, 224))
    assert loaded.train.labels.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert loaded.test.labels.tolist() == [0, 0, 1, 1, 2, 2]
    assert loaded.test.files[2] == "n01443537/n01443537_0.JPEG"
    assert loaded.train.channel_mean() == (0.485, 0.456, 0.406)
    assert loaded.train.channel_std() == (0.229, 0.224, 0.225)
    small = data.load("imagenet", home, size=32, resize=36)
    assert small.test.pixels().shape == (6, 3, 32, 32)


@pytest.mark.parametrize(
    ("listing", "separator", "header"),
    [
        ("val/val_annotations.txt", "\t", ""),
        ("val_annotations.txt", " ", ""),
        ("LOC_val_solution.csv", ",", "ImageId,PredictionString\n"),
    ],
)
def test_validation_images_may_lie_in_one_folder(home, listing, separator, header):
    lines = [f"{name}_{i}{'' if header else '.JPEG'}{separator}{name} 1 2 3 4" for i in range(2) for name in CLASSES]
    flatten(home, listing, header + "\n".join(lines))
    loaded = data.load("imagenet", home)
    assert loaded.test.labels.tolist() == [0, 1, 2, 0, 1, 2]
    assert loaded.test.files[4] == "n01443537_1.JPEG"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            lambda home: shutil.rmtree(home / "train"),
            r"train is missing; data set 'imagenet' needs train/CLASS/\*.JPEG",
        ),
        (lambda home: shutil.rmtree(home / "val"), r"val is missing; data set 'imagenet' needs"),
        (lambda home: shutil.rmtree(home / "train" / CLASSES[1]), r"2 classes in .*train, expected 3; the data set is"),
        (
            lambda home: (home / "train" / CLASSES[1] / f"{CLASSES[1]}_0.JPEG").unlink(),
            r"8 images in .*train, expected",
        ),
        (lambda home: (home / "val" / CLASSES[1] / f"{CLASSES[1]}_0.JPEG").unlink(), r"5 images in .*val, expected 6"),
        (lambda home: flatten(home, "readme.txt", ""), r"val holds images but no folders of classes; move them into"),
        (
            lambda home: flatten(home, "val_annotations.txt", "x.JPEG n01440764"),
            r"line 1 of .*annotations.txt names 'x",
        ),
    ],
)
def test_what_is_not_whole_is_refused(home, change, sentence):
    change(home)
    with pytest.raises(DataError, match=sentence):
        data.load("imagenet", home)


def test_a_missing_folder_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"nowhere.* is not a folder; data set 'imagenet' needs"):
        data.load("imagenet", tmp_path / "nowhere")


def test_the_counts_are_those_of_the_challenge():
    assert (imagenet.N_CLASSES, imagenet.N_TRAIN, imagenet.N_VALIDATION) == (1000, 1281167, 50000)
