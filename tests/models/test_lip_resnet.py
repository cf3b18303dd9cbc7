"""The 1-Lipschitz ResNet-34."""

import pytest
import torch
from torch import nn

from onelip import models
from onelip.layers import PrescaledResidual

IMAGE = (3, 224, 224)


def on_meta(shape=IMAGE, **options):
    with torch.device("meta"):
        return models.build("lip-resnet", input_shape=shape, n_classes=1000, **({"layer": "plain"} | options))


def test_the_layout_is_that_of_resnet_34():
    model = on_meta()
    blocks = [m for m in model.modules() if isinstance(m, PrescaledResidual)]
    assert len(blocks) == 3 + 3 + 5 + 2
    convs = [m for m in model.modules() if isinstance(m, nn.Conv2d)]
    assert len(convs) == 1 + 2 * len(blocks) + 3
    assert [(c.kernel_size[0], c.out_channels) for c in convs if c.stride == (2, 2)] == [
        (7, 64),
        (3, 128),
        (3, 256),
        (3, 512),
    ]
    kernels = 49 * 3 * 64 + 9 * (6 * 64**2 + 64 * 128 + 6 * 128**2 + 128 * 256 + 10 * 256**2 + 256 * 512 + 4 * 512**2)
    assert sum(p.numel() for p in model.parameters()) == kernels + 13 + 512_000
    assert model(torch.empty(2, *IMAGE, device="meta")).shape == (2, 1000)


@pytest.mark.parametrize(
    "options", [{"width": 8}, {"blocks": [1, 2]}, {"norm": "batch-centering"}, {"pool": "l2"}, {"head": None}]
)
def test_each_option_changes_the_network(options):
    assert str(on_meta(**options)) != str(on_meta())


def test_blocks_are_convolutions_normalisations_and_activations():
    torch.manual_seed(0)
    model = models.build(
        "lip-resnet", input_shape=(3, 8, 8), n_classes=2, width=4, blocks=[1, 2], norm="layer-centering"
    )
    block = model.stage2[1]
    assert block.alpha == 3
    assert [n for unit in block.fn for n, _ in unit.named_children()] == ["conv", "norm", "act"] * 2
    changed = models.build("lip-resnet", input_shape=(3, 8, 8), n_classes=2, width=4, blocks=[1, 1], alpha=2.0)
    assert changed.stage1[0].alpha == 2


def test_plain_layers_take_other_images():
    model = models.build(
        "lip-resnet", input_shape=(1, 13, 10), n_classes=2, layer="plain", width=2, blocks=[1, 1], pool="none"
    )
    assert model(torch.rand(2, 1, 13, 10)).shape == (2, 2)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"shape": (3, 48, 64), "layer": "aoc"}, "multiples of 32"),
        ({"blocks": [0, 1]}, r"blocks=\[0, 1\]"),
        ({"norm": "x"}, "norm='x'"),
        ({"pool": "x"}, "pool='x'"),
        ({"width": 0}, "width=0"),
    ],
)
def test_what_does_not_fit_is_refused(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        on_meta(**options)
