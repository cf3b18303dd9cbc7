"""A convolution with its activation and, if asked for, a normalisation."""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from onelip import layers
from onelip.models.method import Method, PaddingMode
from onelip.models.registry import check_choice

NO_NORM = "none"
"""The name that stands for no normalisation."""


def check_norm(where: str, norm: str) -> None:
    """Check the name of a normalisation.

    Args:
        where: The model's name.
        norm: "none" or a registered normalisation.

    Raises:
        ValueError: It is unknown.
    """
    check_choice(where, "norm", norm, (NO_NORM, *layers.available("normalization")))


def norm_part(norm: str, channels: int) -> OrderedDict[str, nn.Module]:
    """Make a normalisation, as a part of a sequence.

    Args:
        norm: "none" or a registered normalisation.
        channels: Channels of its input.

    Returns:
        The layer under the name "norm"; empty without.
    """
    if norm == NO_NORM:
        return OrderedDict()
    return OrderedDict(norm=layers.normalization(norm, channels))


def conv_unit(
    method: Method,
    channels: tuple[int, int],
    kernel_size: int,
    *,
    stride: int = 1,
    padding_mode: PaddingMode = "zeros",
    norm: str = NO_NORM,
    bias: bool = False,
) -> nn.Sequential:
    """Make a convolution, an activation and a normalisation, in this order.

    Args:
        method: How layers are made.
        channels: Those of the input and of the output.
        kernel_size: Side of the kernel, odd.
        stride: Of the convolution.
        padding_mode: How to pad, where the method allows it.
        norm: "none" or a registered normalisation.
        bias: Has the convolution a bias?

    Returns:
        The sequence, with parts "conv", "act" and "norm".
    """
    conv = method.conv2d(*channels, kernel_size, stride=stride, padding_mode=padding_mode, bias=bias)
    return nn.Sequential(OrderedDict(conv=conv, act=method.act(channels[1])) | norm_part(norm, channels[1]))


def check_odd(where: str, **sizes: int) -> None:
    """Check that kernels have a centre.

    Args:
        where: The model's name.
        **sizes: Sides of kernels, integers >= 1, by the option's name.

    Raises:
        ValueError: One of them is even.
    """
    for name, size in sizes.items():
        if size % 2 == 0:
            raise ValueError(f"{name}={size} for model {where!r} must be odd")


def check_multiple(where: str, input_shape: tuple[int, int, int], unit: int) -> None:
    """Check that the image can be divided as often as the model does.

    Args:
        where: The model's name.
        input_shape: `(C, H, W)`.
        unit: What must divide the height and the width.

    Raises:
        ValueError: It does not.
    """
    _, height, width = input_shape
    if height % unit or width % unit:
        raise ValueError(
            f"input_shape={input_shape} does not fit model {where!r}; height and width must be multiples of {unit}"
        )
