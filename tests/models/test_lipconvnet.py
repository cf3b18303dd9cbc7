"""LipConvnet: published sizes, structure, what does not fit."""

import pytest
import torch
from torch import nn

from onelip import layers, models

NAMES = [f"lipconvnet-{n}" for n in range(5, 45, 5)]


def on_meta(name, layer="soc", side=32, **options):
    with torch.device("meta"):
        return models.build(name, input_shape=(3, side, side), n_classes=10, layer=layer, **options)


def count(model):
    return sum(p.numel() for p in model.parameters())


# Millions, of arXiv:2105.11417 and arXiv:2210.11620 as tables of later papers give them.
@pytest.mark.parametrize(("layer", "published"), [("soc", 27), ("lot", 18)])
def test_the_published_sizes_of_lipconvnet_20(layer, published):
    model = on_meta("lipconvnet-20", layer)
    # The published head of SOC is a square 1x1 convolution, of which 10 rows are used.
    head = 1024**2 - 10 * 1024 if layer == "soc" else 0
    assert round((count(model) + head) / 1e6) == published


@pytest.mark.parametrize("name", NAMES)
def test_the_number_of_convolutions_is_in_the_name(name):
    model = on_meta(name, "plain")
    convs = [m for m in model.modules() if isinstance(m, nn.Conv2d)]
    per_stage = int(name.partition("-")[2]) // 5
    assert len(convs) == 5 * per_stage
    widths = [32 * 2**i for i in range(5)]
    expected = [c for w in widths for c in [w] * (per_stage - 1) + [2 * w]]
    assert [c.out_channels for c in convs] == expected
    assert [c.kernel_size[0] for c in convs] == [3] * (len(convs) - 1) + [1]
    assert [c.in_channels for c in convs][per_stage - 1 :: per_stage] == [
        4 * (3 if per_stage == 1 and i == 0 else w) for i, w in enumerate(widths)
    ]
    assert {c.padding_mode for c in convs} == {"zeros"}
    assert all(c.bias is not None for c in convs)
    assert model(torch.empty(2, 3, 32, 32, device="meta")).shape == (2, 10)


def test_numbers_of_a_skew_kernel_by_the_formula_of_the_code():
    stages = [(3, 32), (64, 64), (128, 128), (256, 256), (512, 512)]
    total = 1024 * 10 + 10
    for i, (n_in, width) in enumerate(stages):
        total += 9 * max(n_in, width) ** 2 + width
        total += (1 if i == 4 else 9) * max(4 * width, 2 * width) ** 2 + 2 * width
    assert count(on_meta("lipconvnet-10")) == total


@pytest.mark.parametrize("layer", [record.name for record in layers.records("conv2d")])
def test_every_method_fits(layer):
    options = {"width": 2, "stages": 2, "depth": 1, "layer": layer}
    model = models.build("lipconvnet-5", input_shape=(3, 4, 8), n_classes=3, **options).eval()
    assert model(torch.rand(2, 3, 4, 8)).shape == (2, 3)


def test_the_last_layer_can_be_normalised():
    model = on_meta("lipconvnet-5", head="unit-norm")
    assert type(model.head) is layers.UnitNormLinear
    assert model.head.in_features == 1024


@pytest.mark.parametrize(
    ("side", "options", "sentence"),
    [
        (
            48,
            {},
            r"input_shape=\(3, 48, 48\) does not fit model 'lipconvnet-5'; height and width must be multiples of 32",
        ),
        (32, {"kernel_size": 2}, "kernel_size=2 for model 'lipconvnet-5' must be odd"),
        (32, {"depth": 0}, "depth=0"),
        (32, {"stages": 0}, "stages=0"),
        (32, {"width": 1.0}, r"width=1\.0"),
    ],
)
def test_what_does_not_fit_is_refused(side, options, sentence):
    with pytest.raises(ValueError, match=sentence):
        on_meta("lipconvnet-5", side=side, **options)
