"""The ResNet of SLL layers."""

import pytest
import torch

from onelip import models
from onelip.layers import SLLConv2d, SLLxAOCConv2d

IMAGE = (3, 224, 224)


def on_meta(shape=IMAGE, **options):
    with torch.device("meta"):
        return models.build("sll-resnet50", input_shape=shape, n_classes=1000, **options)


def test_the_layout():
    model = on_meta()
    for i, (n_blocks, width) in enumerate([(3, 256), (4, 512), (6, 1024), (3, 2048)], start=1):
        first, *others = (block.conv for block in getattr(model, f"stage{i}"))
        assert len(others) == n_blocks - 1
        assert isinstance(first, SLLxAOCConv2d)
        assert (first.arguments.out_channels, first.arguments.stride) == (width, (1, 1) if i == 1 else (2, 2))
        assert all(isinstance(layer, SLLConv2d) and layer.inner_channels == 2 * width for layer in others)
    assert model.head.in_features == 2048


def test_the_shapes():
    model = on_meta(width=2, layer="plain")
    assert model(torch.empty(2, *IMAGE, device="meta")).shape == (2, 1000)
    assert model.stage4[0](torch.empty(1, 32, 14, 14, device="meta")).shape == (1, 64, 7, 7)


@pytest.mark.parametrize(
    "options",
    [{"width": 4}, {"blocks": [1]}, {"expansion": 1}, {"norm": "batch-centering"}, {"pool": "max"}, {"head": "cayley"}],
)
def test_each_option_changes_the_network(options):
    assert str(on_meta(**{"width": 2} | options)) != str(on_meta(width=2))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"shape": (3, 48, 64)}, "multiples of 32"),
        ({"blocks": [0, 1]}, r"blocks=\[0, 1\]"),
        ({"norm": "x"}, "norm='x'"),
        ({"pool": "x"}, "pool='x'"),
        ({"expansion": 0}, "expansion=0"),
    ],
)
def test_what_does_not_fit_is_refused(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        on_meta(**options)
