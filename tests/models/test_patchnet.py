"""Networks on patches: the tutorial's numbers, structure, what does not fit."""

import pytest
import torch
from torch import nn

from onelip import layers, models
from onelip.layers import PrescaledResidual

NAMES = ("patchnet", "patch-cnn", "conv-mixer")


def on_meta(name="patchnet", shape=(3, 32, 32), **options):
    with torch.device("meta"):
        return models.build(name, input_shape=shape, n_classes=10, **options)


def count(model):
    return sum(p.numel() for p in model.parameters())


def test_the_tutorial_network_has_as_many_numbers_as_published():
    # The summary in Orthogonium's notebook: 1,914,146 in all, 1,783,308 of them trainable.
    model = on_meta()
    groups = [m.groups for m in model.modules() if isinstance(m, layers.AOCConv2d) and m.kernel_size == (3, 3)]
    assert groups == [128] * 12
    # Theirs makes the one-tap factor of each group of two projectors (4, 2), ours is one frame (4, 2).
    assert count(model) + 8 * sum(groups) == 1_783_308
    assert count(on_meta(layer="plain")) == 1_820_172


def test_the_blocks_are_prescaled_residuals():
    torch.manual_seed(0)
    model = models.build("patchnet", input_shape=(3, 4, 4), n_classes=3, width=4, depth=1, norm="layer-centering")
    block, x = model.block1, torch.randn(2, 4, 2, 2)
    assert isinstance(block, PrescaledResidual)
    assert list(dict(block.fn.named_children())) == ["conv", "act", "norm", "back"]
    assert (block.fn.conv.groups, block.fn.conv.in_channels, block.fn.conv.out_channels) == (2, 4, 8)
    block.alpha.data.fill_(3.0)
    torch.testing.assert_close(block(x), (x + block.fn(3 * x)) / 4)
    assert [n for n, _ in model.named_children()] == ["stem", "block1", "pool", "flatten", "act", "head"]


@pytest.mark.parametrize("layer", [*layers.available("conv2d"), "plain"])
def test_every_method_fits(layer):
    options = {"width": 4, "depth": 1, "layer": layer}
    model = models.build("patchnet", input_shape=(1, 4, 8), n_classes=3, **options).eval()
    assert model(torch.rand(2, 1, 4, 8)).shape == (2, 3)


EVERYWHERE = (
    {"width": 8},
    {"depth": 2},
    {"kernel_size": 5},
    {"patch": 4},
    {"norm": "batch-centering"},
    {"pool": "none"},
    {"bias": True},
    {"head": "cayley"},
)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        *((name, options) for name in NAMES for options in EVERYWHERE),
        *((name, options) for name in NAMES[::2] for options in ({"expansion": 4}, {"group_width": 4})),
        ("patchnet", {"skip": False}),
        ("patch-cnn", {"groups": 4}),
    ],
)
def test_each_option_changes_the_network(name, options):
    base = {"width": 4, "depth": 1, "layer": "plain"}
    changed = on_meta(name, **base | options)
    assert str(changed) != str(on_meta(name, **base))
    assert changed(torch.empty(2, 3, 32, 32, device="meta")).shape == (2, 10)


def test_the_first_alpha_is_an_option():
    assert models.build("patchnet", input_shape=(1, 2, 2), n_classes=2, width=2, depth=1, alpha=2.5).block1.alpha == 2.5


def test_kernels_over_space_are_grouped_and_padded_as_published():
    mixer = on_meta("conv-mixer", width=8, depth=1)
    assert (mixer.space1.conv.groups, mixer.across1.conv.kernel_size) == (4, (1, 1))
    assert (
        mixer.space1.conv.padding_mode == on_meta("patch-cnn", width=8, depth=1).unit1.conv.padding_mode == "circular"
    )
    assert on_meta(width=8, depth=1).block1.fn.conv.padding_mode == "zeros"
    # One channel in a group still learns its tap.
    lone = models.build("conv-mixer", input_shape=(1, 4, 4), n_classes=2, width=4, depth=1, group_width=1)
    assert any(p.requires_grad for p in lone.space1.conv.parameters())


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"patch": 3}, r"input_shape=\(3, 32, 32\) does not fit model '{}'; height and width must be multiples of 3"),
        ({"kernel_size": 2}, "kernel_size=2 for model '{}' must be odd"),
        ({"pool": "sum"}, "pool='sum' for model '{}'"),
        ({"norm": "batch"}, "norm='batch' for model '{}'"),
        ({"bias": 1}, "bias=1 for model '{}' must be True or False"),
        ({"width": 0}, "width=0 for model '{}'"),
    ],
)
def test_what_does_not_fit_is_refused(name, options, sentence):
    with pytest.raises(ValueError, match=sentence.format(name)):
        on_meta(name, **options)


def test_groups_that_do_not_divide_are_refused():
    with pytest.raises(ValueError, match="group_width=3 for model 'patchnet' does not divide width=256"):
        on_meta(group_width=3)
    with pytest.raises(ValueError, match="groups=3 for model 'patch-cnn' does not divide width=128"):
        on_meta("patch-cnn", groups=3)
    assert isinstance(on_meta(layer="plain").stem[1], nn.Conv2d)
