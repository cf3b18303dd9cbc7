"""Networks that work on patches of 2x2 pixels at one resolution: Orthogonium's tutorial network and its relatives."""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from onelip.layers import PrescaledResidual
from onelip.models.conv_unit import check_multiple, check_norm, check_odd, norm_part
from onelip.models.method import Method
from onelip.models.readout import check_pool, readout
from onelip.models.registry import check_flags, check_sizes, register_model


@register_model("patchnet")
def patchnet(
    *,
    input_shape: tuple[int, int, int],
    n_classes: int,
    method: Method,
    width: int = 256,
    depth: int = 12,
    kernel_size: int = 3,
    patch: int = 2,
    expansion: int = 2,
    group_width: int = 2,
    norm: str = "none",
    skip: bool = True,
    alpha: float = 1.0,
    pool: str = "conv",
    bias: bool = False,
    head: str | None = None,
) -> nn.Sequential:
    """Residual blocks on patches: a grouped convolution, an activation and a 1x1 convolution back to the width.

    The network of Orthogonium's tutorial on CIFAR-10, with its settings as defaults. Each block is
    (x + f(alpha x)) / (1 + |alpha|) with a learned alpha; images are padded with zeros. The pooling convolution covers
    what is left of the image, two channels in a group; an activation follows, then the head.

    On 32x32 images with layer "aoc" it has 1,771,020 parameters, which make 1,820,172 numbers in kernels. The tutorial
    counts 1,914,146, of which 130,838 are vectors of power iterations. The other 1,783,308 are 8 more for each group of
    the grouped convolutions, whose one-tap factor is made of two projectors there and of one frame here.

    Args:
        input_shape: `(C, H, W)`; H and W must be multiples of `patch`.
        n_classes: Number of logits.
        method: How layers are made; published with "aoc".
        width: Channels between blocks.
        depth: Number of blocks.
        kernel_size: Side of the grouped kernels, odd.
        patch: Side of the patches.
        expansion: How many times wider a block is inside.
        group_width: Channels of a block's input in each group, a divisor of `width`.
        norm: "none" or a registered normalisation, after the activation in a block.
        skip: Are blocks residual? Without, they follow each other.
        alpha: First value of every alpha.
        pool: "conv", "l2", "average", "max" or "none".
        bias: Have layers a bias?
        head: Method of the last layer, by default that of the dense layers.

    Returns:
        The network.

    Raises:
        ValueError: The image or an option does not fit.

    Paper:
        Boissin et al. 2025, arXiv:2501.08430; the tutorial of its library Orthogonium.
    """
    where = "patchnet"
    check_sizes(where, depth=depth, expansion=expansion, group_width=group_width)
    _check(where, input_shape, width, kernel_size, patch, norm, pool)
    _check_divisor(where, "group_width", group_width, width)
    check_flags(where, skip=skip, bias=bias)
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    parts["stem"] = method.patch_conv2d(input_shape[0], width, (patch, patch), bias=bias)
    for i in range(1, depth + 1):
        wide, groups = expansion * width, width // group_width
        conv = method.conv2d(width, wide, kernel_size, padding_mode="zeros", groups=groups, bias=bias)
        block = OrderedDict(conv=conv, act=method.act(wide)) | norm_part(norm, wide)
        block["back"] = method.conv2d(wide, width, 1, bias=bias)
        branch = nn.Sequential(block)
        parts[f"block{i}"] = PrescaledResidual(branch, alpha) if skip else branch
    image = _patches(input_shape, width, patch)
    return nn.Sequential(parts | readout(method, image, n_classes, pool=pool, head=head, bias=bias, act=True))


@register_model("patch-cnn")
def patch_cnn(
    *,
    input_shape: tuple[int, int, int],
    n_classes: int,
    method: Method,
    width: int = 128,
    depth: int = 8,
    kernel_size: int = 3,
    patch: int = 2,
    groups: int = 1,
    norm: str = "layer-centering",
    pool: str = "l2",
    bias: bool = False,
    head: str | None = None,
) -> nn.Sequential:
    """Convolutions on patches, at one resolution and width, and the norm of each channel at the end.

    Each convolution is followed by a normalisation and an activation; padding is circular where the method allows it.

    Args:
        input_shape: `(C, H, W)`; H and W must be multiples of `patch`.
        n_classes: Number of logits.
        method: How layers are made; published with "aoc".
        width: Channels.
        depth: Convolutions behind the first one.
        kernel_size: Side of their kernels, odd.
        patch: Side of the patches.
        groups: Groups of channels, a divisor of `width`.
        norm: "none" or a registered normalisation.
        pool: "l2", "conv", "average", "max" or "none".
        bias: Have convolutions a bias?
        head: Method of the last layer, by default that of the dense layers.

    Returns:
        The network.

    Raises:
        ValueError: The image or an option does not fit.

    Paper:
        Boissin et al. 2025, arXiv:2501.08430; the library Orthogonium.
    """
    check_sizes("patch-cnn", depth=depth, groups=groups)
    _check("patch-cnn", input_shape, width, kernel_size, patch, norm, pool)
    _check_divisor("patch-cnn", "groups", groups, width)
    check_flags("patch-cnn", bias=bias)
    stem = OrderedDict(conv=method.patch_conv2d(input_shape[0], width, (patch, patch), bias=bias))
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    parts["stem"] = nn.Sequential(stem | OrderedDict(act=method.act(width)) | norm_part(norm, width))
    for i in range(1, depth + 1):
        unit: OrderedDict[str, nn.Module] = OrderedDict()
        unit["conv"] = method.conv2d(width, width, kernel_size, groups=groups, bias=bias)
        parts[f"unit{i}"] = nn.Sequential(unit | norm_part(norm, width) | OrderedDict(act=method.act(width)))
    image = _patches(input_shape, width, patch)
    return nn.Sequential(parts | readout(method, image, n_classes, pool=pool, head=head))


@register_model("conv-mixer")
def conv_mixer(
    *,
    input_shape: tuple[int, int, int],
    n_classes: int,
    method: Method,
    width: int = 128,
    depth: int = 8,
    kernel_size: int = 3,
    patch: int = 2,
    expansion: int = 1,
    group_width: int = 2,
    norm: str = "layer-centering",
    pool: str = "l2",
    bias: bool = False,
    head: str | None = None,
) -> nn.Sequential:
    """Alternate convolutions over space, in groups of a few channels, and 1x1 convolutions over channels.

    Each is followed by an activation and a normalisation; padding is circular where the method allows it. Published
    with groups of one channel, where an orthogonal kernel is a single tap, and with means of centred channels, which
    vanish; here with groups of two channels and norms by default.

    Args:
        input_shape: `(C, H, W)`; H and W must be multiples of `patch`.
        n_classes: Number of logits.
        method: How layers are made; published with "aoc".
        width: Channels between blocks.
        depth: Number of blocks.
        kernel_size: Side of the kernels over space, odd.
        patch: Side of the patches.
        expansion: How many times wider a block is inside.
        group_width: Channels of a block's input in each group, a divisor of `width`.
        norm: "none" or a registered normalisation.
        pool: "l2", "conv", "average", "max" or "none".
        bias: Have convolutions a bias?
        head: Method of the last layer, by default that of the dense layers.

    Returns:
        The network.

    Raises:
        ValueError: The image or an option does not fit.

    Paper:
        Trockman and Kolter 2022, arXiv:2201.09792; in Orthogonium, Boissin et al. 2025, arXiv:2501.08430.
    """
    check_sizes("conv-mixer", depth=depth, expansion=expansion, group_width=group_width)
    _check("conv-mixer", input_shape, width, kernel_size, patch, norm, pool)
    _check_divisor("conv-mixer", "group_width", group_width, width)
    check_pool("conv-mixer", pool, norm)
    check_flags("conv-mixer", bias=bias)
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    parts["stem"] = method.patch_conv2d(input_shape[0], width, (patch, patch), bias=bias)
    for i in range(1, depth + 1):
        wide, groups = expansion * width, width // group_width
        space = OrderedDict(conv=method.conv2d(width, wide, kernel_size, groups=groups, bias=bias))
        across = OrderedDict(conv=method.conv2d(wide, width, 1, bias=bias))
        parts[f"space{i}"] = nn.Sequential(space | OrderedDict(act=method.act(wide)) | norm_part(norm, wide))
        parts[f"across{i}"] = nn.Sequential(across | OrderedDict(act=method.act(width)) | norm_part(norm, width))
    image = _patches(input_shape, width, patch)
    return nn.Sequential(parts | readout(method, image, n_classes, pool=pool, head=head))


def _patches(input_shape: tuple[int, int, int], width: int, patch: int) -> tuple[int, int, int]:
    return width, input_shape[1] // patch, input_shape[2] // patch


def _check(
    where: str, input_shape: tuple[int, int, int], width: int, kernel_size: int, patch: int, norm: str, pool: str
) -> None:
    check_sizes(where, width=width, kernel_size=kernel_size, patch=patch)
    check_odd(where, kernel_size=kernel_size)
    check_multiple(where, input_shape, patch)
    check_norm(where, norm)
    check_pool(where, pool)


def _check_divisor(where: str, name: str, divisor: int, width: int) -> None:
    if width % divisor:
        raise ValueError(f"{name}={divisor} for model {where!r} does not divide width={width}")
