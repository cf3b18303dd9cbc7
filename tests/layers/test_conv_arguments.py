from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

from onelip.layers.conv_arguments import conv_arguments, positive_int


@pytest.mark.parametrize("value", [0, -1, 1.0, "2", True, None])
def test_only_positive_integers_pass(value: Any) -> None:
    with pytest.raises(ValueError, match=r"channels=.* in Owner must be an integer of at least 1"):
        positive_int("Owner", "channels", value)


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("kernel_size", 0, "kernel_size=0 in Owner must be an integer of at least 1"),
        ("kernel_size", (3,), r"kernel_size=\(3,\) in Owner"),
        ("stride", (1, 0), r"stride=\(1, 0\) in Owner"),
        ("dilation", 1.5, "dilation=1.5 in Owner"),
        ("padding", -1, "padding=-1 in Owner must be an integer of at least 0"),
        ("padding", "full", "padding='full' in Owner must be an integer, two of them, 'same' or 'valid'"),
        ("groups", 3, "groups=3 does not divide in_channels=4 in Owner; use a common divisor"),
        ("padding_mode", "reflect", "padding_mode='reflect' in Owner repeats pixels and can raise the norm above 1"),
        ("padding_mode", "constant", "padding_mode='constant' in Owner is not supported; use 'zeros' or 'circular'"),
    ],
)
def test_bad_argument_is_one_sentence(name: str, value: Any, sentence: str) -> None:
    arguments = {"in_channels": 4, "out_channels": 4, "kernel_size": 3, name: value}
    with pytest.raises(ValueError, match=sentence):
        conv_arguments("Owner", **arguments)


def test_same_padding_needs_stride_one() -> None:
    with pytest.raises(ValueError, match=r"padding='same' in Owner needs stride 1, not stride=\(2, 2\)"):
        conv_arguments("Owner", 1, 1, 3, 2, "same")


def test_circular_padding_may_not_repeat_pixels_of_the_kernels_reach() -> None:
    conv_arguments("Owner", 1, 1, 3, 1, 1, padding_mode="circular")
    with pytest.raises(ValueError, match=r"padding=2 in Owner with padding_mode='circular' repeats pixels.*\(2, 2\)"):
        conv_arguments("Owner", 1, 1, 3, 1, 2, padding_mode="circular")


@pytest.mark.parametrize("mode", ["zeros", "circular"])
@pytest.mark.parametrize("kernel", [1, 2, 3, (4, 3)])
@pytest.mark.parametrize(("stride", "padding"), [(1, "same"), (1, "valid"), (1, 0), (2, 0)])
@pytest.mark.parametrize("dilation", [1, 2])
@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
def test_padding_and_sizes_are_torchs(mode: str, kernel: Any, stride: int, padding: Any, dilation: int) -> None:
    arguments = conv_arguments("Owner", 1, 1, kernel, stride, padding, dilation, 1, mode)
    x = torch.rand(1, 1, 8, 10)
    torchs = nn.Conv2d(1, 1, kernel, stride, padding, dilation, bias=False, padding_mode=mode)
    y = nn.functional.conv2d(arguments.pad(x), torchs.weight, None, arguments.stride, 0, arguments.dilation)
    torch.testing.assert_close(y, torchs(x))
    assert arguments.output_size(8, 10) == tuple(y.shape[-2:])


@pytest.mark.parametrize(
    ("height", "options", "sentence"),
    [
        (2, {"kernel_size": 5}, "image height 2 is too small for Owner with padding 0 and a kernel extent of 5"),
        (
            1,
            {"kernel_size": 5, "padding": 2, "padding_mode": "circular"},
            "smaller than the circular padding 2 of Owner",
        ),
        (
            5,
            {"kernel_size": 3, "padding": 1, "stride": (2, 1), "padding_mode": "circular"},
            "image height 5 is not a multiple of stride 2 in Owner",
        ),
    ],
)
def test_impossible_image_is_one_sentence(height: int, options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        conv_arguments("Owner", 1, 1, **options).check_image(height, 9)


def test_extent_counts_the_holes_of_dilation() -> None:
    assert conv_arguments("Owner", 1, 1, (3, 2), dilation=(2, 3)).extent == (5, 4)


def test_layers_that_never_pad_may_wrap_around_a_small_image() -> None:
    arguments = conv_arguments("Owner", 1, 1, 5, padding=2, padding_mode="circular")
    replace(arguments, wraps=True).check_image(1, 9)
    with pytest.raises(ValueError, match="smaller than the circular padding 2 of Owner"):
        arguments.check_image(1, 9)
