"""The large network of the BCOP paper with strides."""

import pytest
import torch
from torch import nn

from onelip import models


def on_meta(side=32, **options):
    with torch.device("meta"):
        return models.build("bcop-large", input_shape=(3, side, side), n_classes=10, **({"layer": "plain"} | options))


def test_the_structure():
    model = on_meta()
    convs = [m for m in model.modules() if isinstance(m, nn.Conv2d)]
    assert [(c.out_channels, c.kernel_size[0], c.stride[0]) for c in convs] == [
        (32, 3, 1),
        (64, 5, 2),
        (64, 3, 1),
        (64, 5, 2),
    ]
    assert model.dense1.in_features == 64 * 8 * 8
    kernels = 9 * 3 * 32 + 25 * 32 * 64 + 9 * 64**2 + 25 * 64**2 + 4096 * 512 + 512**2 + 5120
    assert sum(p.numel() for p in model.parameters()) == kernels + 32 + 3 * 64 + 2 * 512 + 10
    assert model(torch.empty(2, 3, 32, 32, device="meta")).shape == (2, 10)
    assert {c.padding_mode for c in convs} == {"circular"}


@pytest.mark.parametrize("options", [{"width": 8}, {"dense": [16]}, {"norm": "batch-centering"}])
def test_each_option_changes_the_network(options):
    assert str(on_meta(**options)) != str(on_meta())


def test_plain_layers_take_other_images():
    options = {"width": 2, "dense": [], "layer": "plain"}
    assert models.build("bcop-large", input_shape=(1, 7, 9), n_classes=2, **options)(torch.rand(2, 1, 7, 9)).shape == (
        2,
        2,
    )


@pytest.mark.parametrize(
    ("side", "options", "sentence"),
    [
        (30, {"layer": "aoc"}, "multiples of 4"),
        (32, {"norm": "l2"}, "norm='l2' for model 'bcop-large'"),
        (32, {"width": -1}, "width=-1"),
        (32, {"layer": "soc"}, "stride 2"),
    ],
)
def test_what_does_not_fit_is_refused(side, options, sentence):
    with pytest.raises(ValueError, match=sentence):
        on_meta(side, **options)
