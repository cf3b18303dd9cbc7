"""What is measured: every method on equal channels, away from its start, the same each time."""

import pytest
import torch
from torch import nn

from onelip import layers
from onelip.experiments.bench.setup import PLAIN, Setup


def setup(kind="conv2d", methods=(), **changes):
    options = {"channels": 4, "kernel": 1 if kind == "linear" else 3, "size": 6, "batch": 2, "repeats": 1}
    return Setup(kind, methods, device=torch.device("cpu"), **(options | changes))


@pytest.mark.parametrize("kind", PLAIN)
def test_layers_and_plain_layers_keep_the_shape_of_the_inputs(kind):
    made = setup(kind, layers.available(kind))
    x = made.inputs()
    assert x.shape == (2, *made.shape)
    assert made.plain()(x).shape == x.shape
    for record in made.records():
        try:
            layer = made.layer(record)
        except ValueError:
            continue
        assert layer(x).shape == x.shape
        assert made.plain(record)(x).shape == x.shape


def test_layers_are_the_same_each_time_and_away_from_their_start():
    made = setup(methods=("aol",))
    (record,) = made.records()
    first, second = made.layer(record), made.layer(record)
    assert torch.equal(first.weight, second.weight)
    # The start of AOL is the identity.
    assert (first.weight - layers.AOLConv2d(4, 4, 3).weight).abs().max() > 0.01


def test_building_leaves_the_global_generator_alone():
    state = torch.get_rng_state()
    made = setup(methods=("aoc",))
    made.layer(made.records()[0]), made.plain(), made.inputs()
    assert torch.equal(torch.get_rng_state(), state)


def test_the_plain_layer_has_the_padding_of_the_method():
    made = setup()
    zeros = layers.LayerRecord("conv2d", "x", nn.Conv2d, False, ("zeros",), False, True, "", "")
    assert made.plain().padding_mode == "circular"
    assert made.plain(zeros).padding_mode == "zeros"
    assert setup("conv_transpose2d").plain().padding_mode == "zeros"


def test_small_images_hold_the_kernel():
    assert setup(kernel=3).small_shape == (4, 8, 8)
    assert setup(kernel=11).small_shape == (4, 11, 11)
    assert setup("linear").small_shape == (4,)
    assert setup("conv1d").small_shape == (4, 8)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"kind": "conv3d"}, "kind 'conv3d' is unknown"),
        ({"methods": ("aocc",)}, "conv2d layer 'aocc' is unknown; did you mean 'aoc'"),
        ({"kernel": 4}, "kernel=4 must be odd"),
    ],
)
def test_wrong_options_are_one_sentence(changes, sentence):
    with pytest.raises(ValueError, match=sentence):
        setup(**changes)


@pytest.mark.parametrize(("device", "n_gpus"), [("cuda", 0), ("cuda:2", 2), ("mps", 0)])
def test_a_device_that_is_not_there_is_refused(device, n_gpus, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: n_gpus > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: n_gpus)
    with pytest.raises(ValueError, match=f"device='{device}' is not available; use 'cpu'"):
        Setup("conv2d", (), 4, 3, 6, 2, torch.device(device), 1)


def test_the_description_has_every_size():
    assert setup().describe() == "conv2d, 4 -> 4 channels, kernel 3x3, batch 2 of size 6x6, float32"
    assert setup("linear").describe() == "linear, 4 -> 4 features, batch 2, float32"
