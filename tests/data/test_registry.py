"""What holds for every registered data set, and what the registry refuses."""

import numpy as np
import pytest
import torch
from PIL import Image
from tests.data import house_numbers, stl10_files
from tests.data.idx import write_idx
from tests.data.pictures import write_classes

from onelip import data
from onelip.data import cifar10, cifar100, imagenet, mnist, tiny_imagenet


def _cifar10(home, monkeypatch):
    monkeypatch.setattr(cifar10, "N_RECORDS", 10)
    record = np.random.default_rng(0).integers(0, 256, (10, 3073), dtype=np.uint8)
    record[:, 0] = np.arange(10)
    for name in (*cifar10.TRAIN_FILES, cifar10.TEST_FILE):
        record.tofile(home / name)
    return home


def _cifar100(home, monkeypatch):
    for name, file in (("N_TRAIN", cifar100.TRAIN_FILE), ("N_TEST", cifar100.TEST_FILE)):
        monkeypatch.setattr(cifar100, name, 10)
        np.random.default_rng(0).integers(0, 100, (10, 3074), dtype=np.uint8).tofile(home / file)
    return home


def _tiny_imagenet(home, monkeypatch):
    for name, value in (("N_CLASSES", 2), ("N_TRAIN", 4), ("N_VALIDATION", 1)):
        monkeypatch.setattr(tiny_imagenet, name, value)
    write_classes(home / "train", ("n1", "n2"), 1, inner="images", size=(64, 64))
    for name in ("n1", "n2"):
        Image.new("RGB", (64, 64)).save(home / "train" / name / "images" / f"{name}_0.JPEG")
        Image.new("RGB", (64, 64), (9, 8, 7)).save(home / "train" / name / "images" / f"{name}_1.JPEG")
    (home / "val" / "images").mkdir(parents=True)
    Image.new("RGB", (64, 64)).save(home / "val" / "images" / "val_0.JPEG")
    (home / "val" / "val_annotations.txt").write_text("val_0.JPEG\tn2\t0\t0\t1\t1\n")
    (home / "wnids.txt").write_text("n1\nn2\n")
    return home


def _class_folders(home, monkeypatch):
    for name, value in (("N_CLASSES", 2), ("N_TRAIN", 4), ("N_VALIDATION", 2)):
        monkeypatch.setattr(imagenet, name, value)
    write_classes(home / "train", ("ant", "bee"), 2)
    write_classes(home / "val", ("ant", "bee"), 1)
    return home


def _folder(home, monkeypatch):
    for part in ("train", "test"):
        for i, name in enumerate(("ant", "bee")):
            (home / part / name).mkdir(parents=True)
            Image.new("L", (4, 4), 100 * i).save(home / part / name / "0.png")
    return home


def _arrays(home, monkeypatch):
    x, y = np.random.default_rng(0).random((4, 4, 4)), np.arange(4) % 2
    np.savez(home / "a.npz", x_train=x, y_train=y, x_test=x, y_test=y)
    return home / "a.npz"


def _mnist(home, monkeypatch):
    monkeypatch.setattr(mnist, "N_TRAIN", 10)
    monkeypatch.setattr(mnist, "N_TEST", 10)
    write_idx(home, 10, 10)
    return home


def _idx(home, monkeypatch):
    write_idx(home, 10, 10)
    return home


def _svhn(home, monkeypatch):
    house_numbers.shrink(monkeypatch)
    house_numbers.write_svhn(home)
    return home


def _stl10(home, monkeypatch):
    stl10_files.shrink(monkeypatch)
    stl10_files.write_stl10(home)
    return home


LOCATIONS = {
    "cifar10": _cifar10,
    "cifar100": _cifar100,
    "tiny-imagenet": _tiny_imagenet,
    "imagenet": _class_folders,
    "folder-stream": _class_folders,
    "folder": _folder,
    "arrays": _arrays,
    "digits": lambda home, monkeypatch: None,
    "mnist": _mnist,
    "fashion-mnist": _mnist,
    "idx": _idx,
    "stl10": _stl10,
    "svhn": _svhn,
}


@pytest.mark.parametrize("name", data.available())
def test_every_data_set_keeps_the_contract(name, tmp_path, monkeypatch):
    seen = []
    location = LOCATIONS[name](tmp_path, monkeypatch)
    loaded = data.load(name, location, progress=lambda done, total: seen.append((done, total)))
    assert loaded.name == name
    assert loaded.source
    assert seen[-1][0] == seen[-1][1]
    for part in (loaded.train, loaded.test):
        assert part.shape == loaded.input_shape
        pixels = part.pixels()
        assert pixels.dtype == torch.float32
        assert 0.0 <= float(pixels.min()) <= float(pixels.max()) <= 1.0
        assert set(part.labels.tolist()) <= set(range(loaded.n_classes))
    again = data.load(name, str(location) if location else None)
    assert torch.equal(again.train.pixels(), loaded.train.pixels())


def test_records_say_what_a_list_needs():
    records = data.available()
    assert list(records) == sorted(records)
    assert {name: record.dir for name, record in records.items()} == {
        "arrays": "required",
        "cifar10": "optional",
        "cifar100": "optional",
        "digits": "unused",
        "fashion-mnist": "optional",
        "folder": "required",
        "folder-stream": "required",
        "idx": "required",
        "imagenet": "required",
        "mnist": "optional",
        "stl10": "optional",
        "svhn": "optional",
        "tiny-imagenet": "optional",
    }
    assert all(record.summary.endswith(".") for record in records.values())
    assert records["imagenet"].options == ("size", "resize", "threads")
    assert (records["cifar10"].options, records["stl10"].options) == ((), ("fold",))
    # What is downloaded is somewhere.
    assert all(bool(record.kept) == (record.dir == "optional") for record in records.values())


def test_an_option_of_another_data_set_is_refused(tmp_path):
    with pytest.raises(ValueError, match="size=32 is not an option of data set 'cifar10'; its options: none"):
        data.load("cifar10", tmp_path, size=32)
    with pytest.raises(ValueError, match="crop=3 is not an option of data set 'imagenet'; its options: size, resize"):
        data.load("imagenet", tmp_path, crop=3)


@pytest.mark.parametrize(
    ("name", "location", "sentence"),
    [
        ("cifar", None, "data set 'cifar' is unknown; did you mean 'cifar10'"),
        ("digits", "somewhere", "dir='somewhere' has no effect on data set 'digits'"),
        ("arrays", None, "dir=None for data set 'arrays'"),
        ("folder", None, "dir=None for data set 'folder'"),
    ],
)
def test_a_wrong_name_or_location_is_refused(name, location, sentence):
    with pytest.raises(ValueError, match=sentence):
        data.load(name, location)


def test_a_name_is_taken_once_and_needs_a_summary():
    with pytest.raises(ValueError, match="'digits' is registered already"):
        data.register_dataset("digits", dir="unused")(lambda dir, progress: None)
    with pytest.raises(ValueError, match="has no docstring"):
        data.register_dataset("nameless", dir="unused")(lambda dir, progress: None)
    assert "nameless" not in data.available()
