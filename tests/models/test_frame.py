"""The frame of LiResNet and BRONet: stem sizes, necks, dense layers, and what is refused."""

import pytest
import torch
from torch import nn

from onelip import layers, models
from onelip.models.frame import Frame
from onelip.models.method import choose_method

METHOD = choose_method("liresnet", "cholesky", "maxmin")


def frame(**options):
    sizes = {"width": 4, "dense_width": 6, "dense_depth": 1, "neck": "patch", "neck_size": 2, "stem": None}
    return Frame("liresnet", **(sizes | options))


@pytest.mark.parametrize(
    ("image", "stem"), [((8, 9), None), ((128, 130), None), ((7, 7), (3, 1)), ((12, 9), (3, 3)), ((6, 6), (4, 2))]
)
def test_the_stem_says_how_large_its_images_are(image, stem):
    parts, size = frame(stem=stem).start((3, *image), METHOD)
    assert list(nn.Sequential(parts)(torch.rand(1, 3, *image)).shape) == [1, 4, *size]


def test_the_end_has_all_dense_layers():
    parts = frame(dense_depth=3).end((2, 4), 5, METHOD)
    assert nn.Sequential(parts)(torch.rand(2, 4, 2, 4)).shape == (2, 5)
    kinds = [
        "neck",
        "flatten",
        "dense",
        "dense_act",
        *(f"dense{i}{s}" for i in (1, 2, 3) for s in ("", "_act")),
        "head",
    ]
    assert list(parts) == kinds
    none = frame(dense_depth=0, neck="l2").end((2, 4), 5, METHOD)
    assert list(none) == ["neck", "flatten", "dense", "dense_act", "head"]
    assert isinstance(none["neck"], layers.L2NormPool2d)


def test_reflectors_of_the_neck_have_as_many_columns_as_outputs():
    parts = frame(rank_ratio=0.25).end((2, 4), 5, choose_method("bro", "bro", "maxmin"))
    assert parts["neck"].linear.raw_weight.shape == (16, 4)
    # From 8 features to 6 there are six columns, from 6 to 6 a quarter of six.
    assert parts["dense"].raw_weight.shape == (8, 6)
    assert parts["dense1"].raw_weight.shape == (6, 2)


def test_a_block_pads_convolves_centres_and_compares():
    block = frame().block(METHOD, nn.ZeroPad2d(1), nn.Conv2d(4, 4, 1))
    assert [type(m) for m in block] == [nn.ZeroPad2d, nn.Conv2d, layers.BatchCentering, layers.MaxMin]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"width": 0}, "width=0 for model 'liresnet' must be an integer >= 1"),
        ({"dense_width": 1.5}, "dense_width=1.5 for model"),
        ({"dense_depth": -1}, "dense_depth=-1 for model"),
        ({"neck": "max"}, "neck='max' for model 'liresnet' must be one of 'patch', 'l2'"),
        ({"neck_size": 3}, "neck_size=3 for model 'liresnet' does not divide the 4x4 pixels that reach the neck"),
        ({"stem": [3]}, r"stem=\[3\] for model 'liresnet' must be a kernel size and a stride"),
        ({"stem": [3, 0]}, r"stem=\[3, 0\] for model"),
        ({"stem": [9, 9]}, r"input_shape=\(3, 8, 8\) is smaller than the stem=\[9, 9\] of 'liresnet'"),
        ({"linear": "sll"}, "linear='sll' makes no explicit matrix for the neck='patch'"),
    ],
)
def test_mistakes_are_one_sentence(options, sentence):
    sizes = {"width": 4, "depth": 1, "dense_width": 6, "dense_depth": 1}
    with pytest.raises(ValueError, match=sentence):
        models.build("liresnet", input_shape=(3, 8, 8), n_classes=3, **(sizes | options))
