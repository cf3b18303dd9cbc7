"""L2-nonexpansive networks: a logit for each class from layers of its own, each logit 1-Lipschitz."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from torch import nn

from onelip.layers import Join, L2NormPool2d
from onelip.models.method import Method
from onelip.models.registry import check_flags, check_sizes, register_model

_CROP = 28
"""Side of the middle that is taken of larger images."""


@register_model("l2nnn", layer="rk-l2ne", activation="two-sided-relu")
def l2nnn(
    *,
    input_shape: tuple[int, int, int],
    n_classes: int,
    method: Method,
    widths: Sequence[int] = (32, 64),
    pooled: Sequence[int] = (1, 2),
    kernel_size: int = 5,
    shared: Sequence[int] = (1024,),
    dense: Sequence[int] = (),
    separate: bool = False,
) -> nn.Sequential:
    """Convolutions, l2-norm pools and dense layers, at the end one row of layers for each class.

    Each logit is 1-Lipschitz by itself, so a margin certifies the radius of half its size. By default convolutions and
    first dense layers are shared by all classes, as published for MNIST; for CIFAR-10 nothing was (`separate`), with
    three convolutions (`widths` of three, `pooled` [2, 3]). Images larger than 28x28 are cropped to their middle.

    Args:
        input_shape: `(C, H, W)`.
        n_classes: Number of logits.
        method: How layers are made; published with "rk-l2ne" and the two-sided ReLU, which doubles the channels.
        widths: Channels of each convolution, before the activation.
        pooled: After which convolutions, counted from 1, windows of 2x2 pixels are replaced by their norm.
        kernel_size: Side of the kernels, odd.
        shared: Features of the dense layers before the rows of the classes.
        dense: Features of the hidden dense layers of each row.
        separate: Is nothing shared?

    Returns:
        The network.

    Raises:
        ValueError: The image or an option does not fit.

    Paper:
        Qian and Wegman 2019, arXiv:1802.07896; the widths of the released weights are not stated, those here are of a
        common network with such convolutions.
    """
    check_sizes("l2nnn", lists={"widths": widths, "pooled": pooled, "shared": shared, "dense": dense})
    check_sizes("l2nnn", kernel_size=kernel_size)
    check_flags("l2nnn", separate=separate)
    _check(input_shape, widths, pooled, kernel_size)
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    channels, height, width = input_shape
    cropped = min(height, _CROP), min(width, _CROP)
    if cropped != (height, width):
        parts["crop"] = nn.ZeroPad2d(_crop(width) + _crop(height))
    builder = _Builder(method, widths, pooled, kernel_size)
    if separate:
        image = (channels, *cropped)
        rows = [nn.Sequential(builder.row(builder.trunk(image, shared), dense)) for _ in range(n_classes)]
        return nn.Sequential(parts | OrderedDict(rows=Join(*rows)))
    trunk = builder.trunk((channels, *cropped), shared)
    parts |= trunk
    rows = [nn.Sequential(builder.row(OrderedDict(), dense)) for _ in range(n_classes)]
    return nn.Sequential(parts | OrderedDict(rows=Join(*rows)))


class _Builder:
    def __init__(self, method: Method, widths: Sequence[int], pooled: Sequence[int], kernel_size: int) -> None:
        self._method, self._widths, self._pooled, self._kernel_size = method, widths, pooled, kernel_size
        self._n_features = 0

    def trunk(self, image: tuple[int, int, int], dense: Sequence[int]) -> OrderedDict[str, nn.Module]:
        # Convolutions with their pools, then dense layers.
        channels, height, width = image
        parts: OrderedDict[str, nn.Module] = OrderedDict()
        for i, n_out in enumerate(self._widths, start=1):
            parts[f"conv{i}"] = self._method.conv2d(channels, n_out, self._kernel_size, padding_mode="zeros")
            parts[f"act{i}"], channels = self._method.widening_act(n_out)
            if i in self._pooled:
                parts[f"pool{i}"] = L2NormPool2d(2)
                height, width = height // 2, width // 2
        parts["flatten"] = nn.Flatten()
        self._n_features = channels * height * width
        return parts | self._dense("shared", dense)

    def row(self, before: OrderedDict[str, nn.Module], dense: Sequence[int]) -> OrderedDict[str, nn.Module]:
        # What leads from the trunk to one logit.
        features = self._n_features
        parts = before | self._dense("dense", dense)
        parts["logit"] = self._method.dense(self._n_features, 1)
        self._n_features = features
        return parts

    def _dense(self, name: str, widths: Sequence[int]) -> OrderedDict[str, nn.Module]:
        parts: OrderedDict[str, nn.Module] = OrderedDict()
        for i, n_hidden in enumerate(widths, start=1):
            parts[f"{name}{i}"] = self._method.dense(self._n_features, n_hidden)
            parts[f"{name}_act{i}"], self._n_features = self._method.widening_act(n_hidden)
        return parts


def _crop(side: int) -> tuple[int, int]:
    # Negative padding; as many pixels off both sides, or one more off the second.
    surplus = max(side - _CROP, 0)
    return -(surplus // 2), -(surplus - surplus // 2)


def _check(input_shape: tuple[int, int, int], widths: Sequence[int], pooled: Sequence[int], kernel_size: int) -> None:
    if kernel_size % 2 == 0:
        raise ValueError(f"kernel_size={kernel_size} for model 'l2nnn' must be odd")
    if len(set(pooled)) != len(pooled) or any(i > len(widths) for i in pooled):
        raise ValueError(
            f"pooled={list(pooled)} for model 'l2nnn' must name different convolutions from 1 to {len(widths)}"
        )
    unit = 2 ** len(pooled)
    if any(min(side, _CROP) % unit for side in input_shape[1:]):
        raise ValueError(
            f"input_shape={input_shape} does not fit model 'l2nnn', which halves the image {len(pooled)} times; height "
            f"and width, up to {_CROP}, must be multiples of {unit}"
        )
