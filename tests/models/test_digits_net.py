"""The small convolutional network."""

import pytest
import torch
from torch import nn

from onelip import models


def build(**options):
    return models.build("digits-net", **({"input_shape": (1, 8, 8), "n_classes": 10, "layer": "plain"} | options))


def sizes(model):
    return [
        (m.in_channels, m.out_channels) if isinstance(m, nn.Conv2d) else (m.in_features, m.out_features)
        for m in model.modules()
        if isinstance(m, nn.Conv2d | nn.Linear)
    ]


def test_the_default_structure():
    # Two halvings of 8x8 leave 2x2, with four times the channels each.
    assert sizes(build()) == [(1, 32), (32, 32), (128, 64), (64, 64), (1024, 256), (256, 10)]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"widths": [4]}, [(1, 4), (4, 4), (256, 256), (256, 10)]),
        ({"widths": []}, [(64, 256), (256, 10)]),
        ({"depth": 1}, [(1, 32), (128, 64), (1024, 256), (256, 10)]),
        ({"dense": []}, [(1, 32), (32, 32), (128, 64), (64, 64), (1024, 10)]),
        ({"dense": [8, 6]}, [(1, 32), (32, 32), (128, 64), (64, 64), (1024, 8), (8, 6), (6, 10)]),
    ],
)
def test_options_change_the_structure(options, expected):
    assert sizes(build(**options)) == expected


def test_the_kernel_size_is_that_of_every_convolution():
    kernels = {m.kernel_size for m in build(kernel_size=5).modules() if isinstance(m, nn.Conv2d)}
    assert kernels == {(5, 5)}


def test_the_head_may_have_a_method_of_its_own():
    model = build(layer="aoc", head="plain")
    assert type(model.head) is nn.Linear
    assert type(build(layer="aoc").head) is not nn.Linear
    assert type(model.dense1) is not nn.Linear


def test_other_images_fit():
    assert build(input_shape=(3, 12, 4))(torch.rand(2, 3, 12, 4)).shape == (2, 10)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"input_shape": (1, 2, 8)}, "is an image too small for model 'digits-net' with 2 stages; .* multiples of 4"),
        ({"input_shape": (1, 10, 8)}, "does not fit model 'digits-net'"),
        ({"kernel_size": 2}, "kernel_size=2 for model 'digits-net' must be odd"),
        ({"widths": [0]}, r"widths=\[0\]"),
        ({"head": "bjorkk"}, "did you mean 'bjorck'"),
    ],
)
def test_what_does_not_fit_is_refused(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        build(**options)
