"""Data of Layers Compared: normalisation, augmentation and splits."""

from __future__ import annotations

import pytest
from tests.experiments.convert.settings_files import search_settings
from tests.experiments.convert.test_layers_compared import converted

from onelip import data
from onelip.experiments.convert.compared_data import DATA_SETS

CROPPED = {"crop": 4, "flip": True, "fill": "mean"}


def section(tmp_path, options, **changes):
    conversion = converted(tmp_path, search_settings("LOT", trainset=f"!dataset {{{options}}}", **changes))
    return conversion.tree["data"], "\n".join(conversion.notes)


def test_every_data_set_is_one_of_ours():
    assert {kind.name for kind in DATA_SETS.values()} <= set(data.available())


@pytest.mark.parametrize(
    ("options", "normalize", "augment"),
    [
        ("name: CIFAR10", "mean", CROPPED),
        ("name: CIFAR100, center: false", "none", {**CROPPED, "fill": "zeros"}),
        ("name: CIFAR10, center: false, rescale: true", "standardize", CROPPED),
        ("name: CIFAR10, rescale: true", "standardize", CROPPED),
        ("name: TinyImageNet", "mean", {"rand_augment": {"num_ops": 2, "magnitude": 9}}),
        ("name: TinyImageNet, rand_aug: 5", "mean", {"rand_augment": {"num_ops": 2, "magnitude": 5}}),
        ("name: ImageNet1k", "standardize", {}),
        ("name: ImageNet1k, rescale: false, center: false", "none", {}),
    ],
)
def test_pixels_are_changed_as_there(tmp_path, options, normalize, augment):
    tree, _ = section(tmp_path, options)
    assert (tree["normalize"], tree["augment"]) == (normalize, augment)


@pytest.mark.parametrize(
    ("options", "changes", "note"),
    [
        ("name: CIFAR10, rescale: true", {}, "subtract the mean twice"),
        ("name: CIFAR10, size: 64", {}, "no counterpart: trainset.size=64 (images stay 32x32)"),
        ("name: TinyImageNet", {}, "the mean of the pixels is that of tiny-imagenet, there ImageNet's"),
        ("name: ImageNet1k", {}, "there squeezed to 224x224"),
        ("name: CIFAR100", {}, "the network has the 100 logits of cifar100, there 10"),
        ("name: CIFAR10", {}, "the tenth that is held out is drawn by the seed"),
        ("name: CIFAR10", {"valset": "!dataset {name: CIFAR10}"}, "there valset is the training images themselves"),
    ],
)
def test_what_differs_is_listed(tmp_path, options, changes, note):
    assert note in section(tmp_path, options, **changes)[1]


def test_splits(tmp_path):
    assert section(tmp_path, "name: CIFAR10")[0]["validation"] == 0.1
    assert section(tmp_path, "name: CIFAR10", valset="!dataset {name: CIFAR10, train: false}")[0]["validation"] == 0.02
