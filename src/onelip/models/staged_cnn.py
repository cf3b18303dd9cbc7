"""Stages of convolutions that widen as the image shrinks, with dense layers at the end."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from torch import nn

from onelip.models.conv_unit import check_multiple, check_norm, check_odd, conv_unit, norm_part
from onelip.models.method import Method, PaddingMode
from onelip.models.readout import check_pool, readout
from onelip.models.registry import check_flags, check_sizes, register_model
from onelip.models.residual_blocks import check_image


@register_model("staged-cnn")
def staged_cnn(
    *,
    input_shape: tuple[int, int, int],
    n_classes: int,
    method: Method,
    widths: Sequence[int] = (64, 128),
    repeats: Sequence[int] = (2, 2),
    dense: Sequence[int] = (256, 256),
    kernel_size: int = 3,
    norm: str = "layer-centering",
    pool: str = "none",
    bias: bool = False,
    head: str | None = None,
) -> nn.Sequential:
    """Convolutions in stages, between them one of stride 2 to the next width, and dense layers at the end.

    Each convolution is followed by an activation and a normalisation; padding is circular where the method allows it.
    The long robust recipe of Orthogonium has widths 128 to 1024, repeats 4 and five dense layers of 1024.

    Args:
        input_shape: `(C, H, W)`; multiples of 2 to the number of strides, for methods that are not plain.
        n_classes: Number of logits.
        method: How layers are made, with strides; published with "aoc".
        widths: Channels of each stage.
        repeats: Convolutions of stride 1 in each stage.
        dense: Features of the hidden dense layers; may be empty.
        kernel_size: Side of the kernels, odd.
        norm: "none" or a registered normalisation.
        pool: "none", "l2", "conv", "average" or "max".
        bias: Have convolutions a bias?
        head: Method of the last layer, by default that of the dense layers.

    Returns:
        The network.

    Raises:
        ValueError: The image or an option does not fit.

    Paper:
        Boissin et al. 2025, arXiv:2501.08430; the library Orthogonium.
    """
    where = "staged-cnn"
    _check(where, widths, repeats, dense, kernel_size, norm, pool)
    check_flags(where, bias=bias)
    check_image(where, input_shape, method, 2 ** (len(widths) - 1))
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    stages = _Stages(method, kernel_size, norm, bias)
    image = stages.add(parts, input_shape, widths, repeats)
    return nn.Sequential(parts | readout(method, image, n_classes, pool=pool, dense=dense, head=head))


@register_model("large-staged-cnn")
def large_staged_cnn(
    *,
    input_shape: tuple[int, int, int],
    n_classes: int,
    method: Method,
    widths: Sequence[int] = (128, 256, 512, 1024),
    repeats: Sequence[int] = (4, 4, 4, 4),
    dense: Sequence[int] = (1024, 1024, 1024, 1024, 1024),
    kernel_size: int = 3,
    patch: int = 7,
    norm: str = "none",
    pool: str = "none",
    bias: bool = False,
    head: str | None = "unit-norm",
) -> nn.Sequential:
    """The staged network on patches, for images of 224x224 pixels.

    The published one has unit-norm hidden layers too, whose constant grows with their width; here the head alone is.

    Args:
        input_shape: `(C, H, W)`; H and W must be multiples of `patch`, and what is left as for "staged-cnn".
        n_classes: Number of logits.
        method: How layers are made, with strides; published with "aoc".
        widths: Channels of each stage; the first are also those of the patches.
        repeats: Convolutions of stride 1 in each stage.
        dense: Features of the hidden dense layers; may be empty.
        kernel_size: Side of the kernels behind the first one, odd.
        patch: Side of the patches.
        norm: "none" or a registered normalisation.
        pool: "none", "l2", "conv", "average" or "max".
        bias: Have convolutions a bias?
        head: Method of the last layer; None for that of the dense layers.

    Returns:
        The network.

    Raises:
        ValueError: The image or an option does not fit.

    Paper:
        Boissin et al. 2025, arXiv:2501.08430; the library Orthogonium.
    """
    where = "large-staged-cnn"
    _check(where, widths, repeats, dense, kernel_size, norm, pool)
    check_sizes(where, patch=patch)
    check_flags(where, bias=bias)
    check_multiple(where, input_shape, patch)
    small = (widths[0], input_shape[1] // patch, input_shape[2] // patch)
    check_image(where, small, method, 2 ** (len(widths) - 1))
    stem = OrderedDict(conv=method.patch_conv2d(input_shape[0], widths[0], (patch, patch), bias=bias))
    stem |= OrderedDict(act=method.act(widths[0])) | norm_part(norm, widths[0])
    parts: OrderedDict[str, nn.Module] = OrderedDict(stem=nn.Sequential(stem))
    image = _Stages(method, kernel_size, norm, bias).add(parts, small, widths, repeats)
    return nn.Sequential(parts | readout(method, image, n_classes, pool=pool, dense=dense, head=head))


class _Stages:
    """Makes the stages of both networks."""

    padding_mode: PaddingMode = "circular"

    def __init__(self, method: Method, kernel_size: int, norm: str, bias: bool) -> None:
        self.method, self.kernel_size, self.norm, self.bias = method, kernel_size, norm, bias

    def add(
        self,
        parts: OrderedDict[str, nn.Module],
        image: tuple[int, int, int],
        widths: Sequence[int],
        repeats: Sequence[int],
    ) -> tuple[int, int, int]:
        # Appends the stages; the shape is that of what leaves them.
        channels, height, wide = image
        for stage, (width, n) in enumerate(zip(widths, repeats, strict=True), start=1):
            if stage > 1:
                parts[f"down{stage}"] = self._unit(channels, width, 2)
                channels, height, wide = width, (height + 1) // 2, (wide + 1) // 2
            for i in range(1, n + 1):
                parts[f"unit{stage}_{i}"] = self._unit(channels, width, 1)
                channels = width
        return channels, height, wide

    def _unit(self, n_in: int, n_out: int, stride: int) -> nn.Module:
        return conv_unit(
            self.method,
            (n_in, n_out),
            self.kernel_size,
            stride=stride,
            padding_mode=self.padding_mode,
            norm=self.norm,
            bias=self.bias,
        )


def _check(
    where: str,
    widths: Sequence[int],
    repeats: Sequence[int],
    dense: Sequence[int],
    kernel_size: int,
    norm: str,
    pool: str,
) -> None:
    check_sizes(where, lists={"widths": widths, "repeats": repeats, "dense": dense}, kernel_size=kernel_size)
    if not widths or len(widths) != len(repeats):
        raise ValueError(f"repeats={repeats} for model {where!r} must have one entry for each of widths={widths}")
    check_odd(where, kernel_size=kernel_size)
    check_norm(where, norm)
    check_pool(where, pool, norm)
