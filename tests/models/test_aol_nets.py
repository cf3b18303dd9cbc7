"""The networks of the AOL paper: sizes by the formulas of its program, structure, what does not fit."""

import pytest
import torch
from torch import nn

from onelip import models

FULL = ("aol-small", "aol-medium", "aol-large", "aol-fc", "aol-conv", "aol-std")


def on_meta(name, shape=(3, 32, 32), n_classes=10, **options):
    with torch.device("meta"):
        return models.build(name, input_shape=shape, n_classes=n_classes, **({"layer": "aol"} | options))


def count(model):
    return sum(p.numel() for p in model.parameters())


def square(n, k=1):
    return k * k * n * n + n


@pytest.mark.parametrize(("name", "per_patch", "millions"), [(FULL[0], 16, 19), (FULL[1], 32, 63), (FULL[2], 48, 136)])
def test_sizes_of_the_networks_on_patches(name, per_patch, millions):
    # "AOL-Large 136M" in arXiv:2303.03169; the others by the layers of the authors' program.
    model = on_meta(name)
    encoder = 48 * 192 + 192 + 12 * square(192, 3) + square(192)
    assert count(model) == encoder + 14 * square(64 * per_patch)
    assert round(count(model) / 1e6) == millions


def test_sizes_of_the_other_networks():
    assert count(on_meta("aol-fc")) == 3072 * 4096 + 4096 + 7 * square(4096)
    wide = [(12, 16, 3), (64, 64, 3), (256, 256, 3), (1024, 1024, 1), (1024, 1024, 1)]
    stages = sum(n_in * n + n + 4 * square(n, k) for n_in, n, k in wide)
    assert count(on_meta("aol-conv")) == stages + 2 * square(1024)
    halved = sum(8 * n * n + 2 * n + (4 * square(n, 3)) for n in (32, 64, 128, 256, 512))
    # Stages get what the one before left, which is as wide as they are.
    assert count(on_meta("aol-std")) == 3 * 32 + 32 + halved + square(1024)


@pytest.mark.parametrize("name", FULL)
def test_forward_shapes(name):
    assert on_meta(name, layer="plain")(torch.empty(2, 3, 32, 32, device="meta")).shape == (2, 10)


def test_no_activation_follows_the_last_layer_and_the_narrowing():
    model = on_meta("aol-small", depth=1, dense=2)
    assert [n for n, _ in model.named_children()][2:] == [
        "unit1",
        "narrow",
        "keep",
        "flatten",
        "dense1",
        "act1",
        "dense2",
        "logits",
    ]
    convs = [
        m for m in on_meta("aol-std", layer="plain").modules() if isinstance(m, nn.Conv2d) and m.kernel_size != (1, 1)
    ]
    assert {c.padding_mode for c in convs} == {"zeros"}


@pytest.mark.parametrize(
    ("name", "options"),
    [
        *(("aol-small", {key: 4}) for key in ("per_patch", "depth", "dense")),
        ("aol-small", {"patch": 8}),
        ("aol-small", {"width": 64}),
        ("aol-fc", {"width": 64}),
        ("aol-fc", {"depth": 4}),
        ("aol-conv", {"width": 4}),
        ("aol-conv", {"depth": 4}),
        ("aol-std", {"widths": [8] * 5}),
        ("aol-std", {"depth": 4}),
    ],
)
def test_each_option_changes_the_network(name, options):
    assert count(on_meta(name, **options)) != count(on_meta(name))


@pytest.mark.parametrize(
    ("name", "options", "sentence"),
    [
        ("aol-small", {"patch": 5}, "multiples of 5"),
        ("aol-small", {"per_patch": 200}, "per_patch=200 for model 'aol-small' must be at most width=192"),
        ("aol-small", {"n_classes": 1025}, "n_classes=1025 exceeds the 1024 outputs of model 'aol-small'"),
        ("aol-fc", {"width": 9}, "n_classes=10 exceeds the 9 outputs"),
        ("aol-fc", {"depth": 0}, "depth=0"),
        ("aol-conv", {"stages": 2, "shape": (3, 4, 4)}, "stages=2 for model 'aol-conv' must be at least 3"),
        ("aol-conv", {"shape": (3, 64, 64)}, "with 5 stages, which halve the image to one pixel; .* must be 32"),
        ("aol-std", {"shape": (3, 32, 64)}, "must be 32"),
        ("aol-std", {"n_classes": 1025}, "exceeds the 1024 outputs"),
        ("aol-std", {"widths": [0]}, r"widths=\[0\]"),
    ],
)
def test_what_does_not_fit_is_refused(name, options, sentence):
    with pytest.raises(ValueError, match=sentence):
        on_meta(name, **options)


def test_stages_are_an_option_of_the_quadrupling_network():
    assert on_meta("aol-conv", (1, 8, 8), 3, width=2, stages=3, layer="plain")(
        torch.empty(2, 1, 8, 8, device="meta")
    ).shape == (2, 3)
