"""SplitConcatNet: structure at its three sizes, what does not fit."""

import pytest
import torch

from onelip import models
from onelip.layers import AOCConv2d, PrescaledResidual

IMAGE = (3, 224, 224)


def on_meta(size="m", shape=IMAGE, **options):
    with torch.device("meta"):
        return models.build(f"split-concat-net-{size}", input_shape=shape, n_classes=1000, **options)


@pytest.mark.parametrize(
    ("size", "width", "depth", "kernel", "expansion", "groups", "norm"),
    [
        ("m", 1024, 2, 3, 4, (32,) * 4, "BatchCentering"),
        ("m2", 1024, 2, 5, 2, (4,) * 4, None),
        ("l", 3072, 3, 5, 2, (192, 384, 768, 1536), None),
    ],
)
def test_the_published_settings(size, width, depth, kernel, expansion, groups, norm):
    model = on_meta(size)
    assert model.stem1.conv.out_channels == width // 16
    for i in range(1, 5):
        stage, channels = getattr(model, f"stage{i}"), width // 2 ** (4 - i)
        blocks = [m for m in stage if isinstance(m, PrescaledResidual)]
        assert len(blocks) == depth
        for block in blocks:
            assert (block.fn.conv.in_channels, block.fn.conv.out_channels) == (channels, expansion * channels)
            assert block.fn.conv.groups == block.fn.back.groups == groups[i - 1]
            assert block.fn.conv.kernel_size == (kernel, kernel)
        assert hasattr(stage, "down") == (i > 1)
        assert stage.mix1.kernel_size == (1, 1)
    convs = [m for m in model.modules() if isinstance(m, AOCConv2d) and m.kernel_size != (1, 1)]
    assert {m.padding_mode for m in convs} == {"zeros"}
    found = {type(m).__name__ for n, m in model.named_modules() if n.endswith("norm")}
    assert found == ({norm} if norm else set())
    assert model.head.in_features == width


def test_the_image_becomes_seven_by_seven_before_the_pool():
    model = on_meta(width=32, groups=2, layer="plain")
    x = torch.empty(1, *IMAGE, device="meta")
    for name, part in model.named_children():
        if name == "pool":
            break
        x = part(x)
    assert x.shape == (1, 32, 7, 7)
    assert on_meta(width=32, groups=2, layer="plain")(torch.empty(2, *IMAGE, device="meta")).shape == (2, 1000)


@pytest.mark.parametrize(
    "options",
    [
        {"width": 64},
        {"depth": 3},
        {"kernel_size": 5},
        {"expansion": 2},
        {"groups": 1},
        {"groups": 0},
        {"norm": "none"},
        {"skip": False},
        {"pool": "average"},
        {"head": "aoc"},
    ],
)
def test_each_option_changes_the_network(options):
    base = {"width": 32, "groups": 2, "depth": 1}
    assert str(on_meta(**base | options)) != str(on_meta(**base))


def test_the_first_alpha_is_an_option():
    small = {"input_shape": (3, 32, 32), "n_classes": 2, "width": 16, "groups": 1, "depth": 1}
    assert models.build("split-concat-net-m", **small).stage1.block1.alpha == 2
    assert models.build("split-concat-net-m", alpha=0.5, **small).stage1.block1.alpha == 0.5


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"groups": 3}, "groups=3 for model 'split-concat-net-m' must divide the 128 channels of the first stage"),
        ({"groups": -1}, "groups=-1"),
        ({"groups": True}, "groups=True"),
        ({"width": 24, "groups": 1}, "width=24 for model 'split-concat-net-m' must be a multiple of 16"),
        ({"skip": None}, "skip=None"),
        ({"kernel_size": 2}, "kernel_size=2"),
        ({"norm": "x"}, "norm='x'"),
        ({"pool": "x"}, "pool='x'"),
        ({"depth": 0}, "depth=0"),
        ({"shape": (3, 48, 64)}, "multiples of 32"),
    ],
)
def test_what_does_not_fit_is_refused(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        on_meta(**options)
