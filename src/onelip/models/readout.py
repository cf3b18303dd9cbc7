"""The end of a convolutional network: from an image of many channels to the logits."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Literal, get_args

from torch import nn

from onelip.layers import AdaptiveL2NormPool2d, AdaptiveScaledAvgPool2d
from onelip.models.method import Method
from onelip.models.registry import check_choice

Pool = Literal["none", "l2", "average", "max", "conv"]
"""How an image becomes one pixel: not at all, by its norm in each channel, by its mean times the root of its size, by
its maximum, or by a convolution as large as the image with two channels in a group."""


def check_pool(where: str, pool: str, norm: str = "none") -> None:
    """Check the name of a way to pool.

    Args:
        where: The model's name.
        pool: One of `Pool`.
        norm: The normalisation right before it.

    Raises:
        ValueError: It is not; or means are taken of channels whose mean was subtracted, which leaves nothing.
    """
    check_choice(where, "pool", pool, get_args(Pool))
    if pool == "average" and norm == "layer-centering":
        raise ValueError(
            f"pool='average' for model {where!r} behind norm='layer-centering' makes every image the same; use 'l2', "
            f"'conv' or 'max', or another norm"
        )


def pooling(method: Method, image: tuple[int, int, int], pool: str) -> nn.Module:
    """Make what turns an image into one pixel; its constant is 1 if the method's is.

    Args:
        method: How layers are made.
        image: `(C, H, W)`.
        pool: One of `Pool` but "none".

    Returns:
        Maps `(B, C, H, W)` to `(B, C, 1, 1)`.
    """
    channels, height, width = image
    if pool == "l2":
        return AdaptiveL2NormPool2d(1)
    if pool == "average":
        return AdaptiveScaledAvgPool2d(1)
    if pool == "max":
        return nn.AdaptiveMaxPool2d(1)
    groups = channels // 2 if channels % 2 == 0 else 1
    return method.patch_conv2d(channels, channels, (height, width), groups=groups, bias=False)


def readout(
    method: Method,
    image: tuple[int, int, int],
    n_classes: int,
    *,
    pool: str = "none",
    dense: Sequence[int] = (),
    head: str | None = None,
    bias: bool = True,
    act: bool = False,
) -> OrderedDict[str, nn.Module]:
    """Make the pooling, the hidden dense layers with activations, and the head.

    Args:
        method: How layers are made.
        image: `(C, H, W)` of what comes in.
        n_classes: Number of logits.
        pool: One of `Pool`.
        dense: Features of each hidden dense layer.
        head: Method of the last layer; by default that of the other dense layers.
        bias: Have dense layers a bias?
        act: Is there an activation before the first dense layer?

    Returns:
        Parts of a sequence that maps `(B, C, H, W)` to `(B, n_classes)`.
    """
    channels, height, width = image
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    n_features = channels * height * width
    if pool != "none":
        parts["pool"] = pooling(method, image, pool)
        n_features = channels
    parts["flatten"] = nn.Flatten()
    if act:
        parts["act"] = method.act(n_features)
    for i, n_hidden in enumerate(dense, start=1):
        parts[f"dense{i}"] = method.dense(n_features, n_hidden, bias=bias)
        parts[f"dense_act{i}"] = method.act(n_hidden)
        n_features = n_hidden
    parts["head"] = method.dense(n_features, n_classes, name=head, bias=bias)
    return parts
