"""1-D convolutions: torch's function, and the norms of their dense matrices."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.layers.dense import singular_values
from torch import nn

from onelip import layers, lipschitz_bound
from onelip.layers import AOCConv1d, AOCConv2d, AOLConv1d, AOLConv2d, RKOConv1d, RKOConv2d

EXPLICIT = [AOCConv1d, AOLConv1d, RKOConv1d]
SHAPES = [
    (4, 4, 3, {"padding": 1}),
    (3, 6, 4, {"padding": "same"}),
    (6, 2, 5, {"padding": 2, "dilation": 2}),
    (4, 8, 4, {"stride": 2, "padding": 1, "groups": 2}),
    (2, 8, 4, {"stride": 4}),
    (4, 4, 2, {"padding": "valid"}),
]


@pytest.mark.parametrize("mode", ["zeros", "circular"])
@pytest.mark.parametrize(("inputs", "outputs", "kernel", "options"), SHAPES)
@pytest.mark.parametrize("layer_class", EXPLICIT)
@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
def test_it_is_torchs_convolution_with_its_weight(
    layer_class: type[nn.Module], inputs: int, outputs: int, kernel: int, options: dict[str, object], mode: str
) -> None:
    ours = layer_class(inputs, outputs, kernel, padding_mode=mode, **options).eval()
    theirs = nn.Conv1d(inputs, outputs, kernel, padding_mode=mode, **options)  # type: ignore[arg-type]
    assert ours.weight.shape == theirs.weight.shape
    with torch.no_grad():
        theirs.weight.copy_(ours.weight)
        theirs.bias.copy_(ours.bias)
    for name in ("kernel_size", "stride", "padding", "dilation", "groups", "padding_mode"):
        assert getattr(ours, name) == getattr(theirs, name)
    x = torch.randn(2, inputs, 8)
    torch.testing.assert_close(ours(x), theirs(x))
    torch.testing.assert_close(ours(x[0]), theirs(x[0]))
    values = singular_values(ours, (inputs, 8))
    assert float(values[0]) <= ours.lipschitz_bound().value * (1 + 1e-12)
    assert float(values[0]) <= 1 + 1e-6


@pytest.mark.parametrize(("inputs", "outputs", "kernel", "options"), SHAPES[:5])
def test_aoc_is_orthogonal(inputs: int, outputs: int, kernel: int, options: dict[str, object]) -> None:
    layer = AOCConv1d(inputs, outputs, kernel, padding_mode="circular", **options)  # type: ignore[arg-type]
    values = singular_values(layer, (inputs, 8 * layer.dilation[0]))
    np.testing.assert_allclose(values.numpy(), 1, atol=1e-6)


@pytest.mark.parametrize(("line", "image"), [(AOCConv1d, AOCConv2d), (AOLConv1d, AOLConv2d), (RKOConv1d, RKOConv2d)])
def test_it_is_the_layer_on_images_of_height_one(line: type[nn.Module], image: type[nn.Module]) -> None:
    one = line(4, 6, 3, 2, 1, 1, 2).eval()
    two = image(4, 6, (1, 3), (1, 2), (0, 1), 1, 2).eval()
    two.load_state_dict(one.state_dict())
    x = torch.randn(2, 4, 7)
    torch.testing.assert_close(one(x), two(x[:, :, None])[:, :, 0])


def test_assignment_takes_torchs_layout() -> None:
    layer = AOCConv1d(4, 4, 3, padding=1)
    target = AOCConv1d(4, 4, 3, padding=1).weight.detach()
    layer.weight = target
    torch.testing.assert_close(layer.weight.detach(), target, rtol=0, atol=1e-5)
    with pytest.raises(ValueError, match=r"weight=\(4, 4, 1, 3\) assigned to AOCConv1d must be a tensor of shape"):
        layer.weight = target[:, :, None]


def test_in_a_network_the_bound_composes() -> None:
    model = nn.Sequential(layers.conv1d("aoc", 2, 4, 3, padding=1), layers.MaxMin(), layers.conv1d("aol", 4, 4, 3))
    assert lipschitz_bound(model, (2, 9)).value <= 1 + 1e-5
    plain = layers.to_plain(model)
    assert [type(m) for m in plain] == [nn.Conv1d, layers.MaxMin, nn.Conv1d]
    assert lipschitz_bound(plain, (2, 9)).value <= 1 + 1e-5


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"kernel_size": (3, 3)}, r"kernel_size=\(3, 3\) in AOLConv1d must be an integer of at least 1"),
        ({"stride": 0}, "stride=0 in AOLConv1d must be an integer of at least 1"),
        ({"padding": -1}, "padding=-1 in AOLConv1d must be an integer of at least 0"),
        ({"padding": "circular"}, "padding='circular' in AOLConv1d"),
        ({"padding_mode": "reflect"}, "padding_mode='reflect' in AOLConv1d repeats pixels"),
        ({"groups": 3}, "groups=3 does not divide in_channels=4 in AOLConv1d"),
    ],
)
def test_refusals(arguments: dict[str, object], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        AOLConv1d(**{"in_channels": 4, "out_channels": 4, "kernel_size": 3, **arguments})  # type: ignore[arg-type]


def test_tuples_of_one_are_taken() -> None:
    layer = AOLConv1d(2, 2, (3,), (2,), (1,), (1,))
    assert layer(torch.zeros(1, 2, 8)).shape == nn.Conv1d(2, 2, (3,), (2,), (1,), (1,))(torch.zeros(1, 2, 8)).shape


def test_signals_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="image width 3 is not a multiple of stride 2 in AOLConv1d"):
        AOLConv1d(2, 2, 3, 2, 1, padding_mode="circular")(torch.zeros(1, 2, 3))
