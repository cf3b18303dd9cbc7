"""LipNeXt: rotations of channels and shifts of pixels."""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from onelip.layers import ChannelPad, InvertibleDownsampling2d, L2NormPool2d, LipNeXtBlock2d, UnitNormLinear
from onelip.models.method import Method
from onelip.models.registry import check_sizes, register_model

_GRID = 16
"""Pixels along the shorter side of the images of features, unless patches are given."""


@register_model("lipnext", layer="polar-express", activation="beta-abs")
def lipnext(
    *,
    input_shape: tuple[int, int, int],
    n_classes: int,
    method: Method,
    width: int = 1024,
    depth: int = 32,
    patch: int | None = None,
    shift_ratio: float = 0.125,
    positions: bool = True,
) -> nn.Sequential:
    """Blocks phi(M R^T S(R (x + p)) + b) without a convolution, then the l2 norm of each channel and a unit-norm head.

    R and M are orthogonal, S shifts an eighth of the channels by one pixel in each of four directions, p are learned
    positions: see `LipNeXtBlock2d`. Before them patches become channels and zeros fill the width, a map that keeps
    every length; the first R is then a map of patches. Matrices are those of the dense method.

    64 Mi parameters in the matrices at the defaults, 256 Mi at width 2048: the 64 M and 256 M that are published for 32
    blocks. Positions of 16x16 pixels, biases and the head are 8 M more at width 1024, and 17 M more at 2048.

    Args:
        input_shape: `(C, H, W)`.
        n_classes: Number of logits.
        method: How layers are made.
        width: Channels, at least those of a patch.
        depth: Number of blocks.
        patch: Side of the patches; by default what leaves 16 pixels along the image's shorter side.
        shift_ratio: Part of the channels that moves each way, above 0 and at most 1/4; published with 1/8 and 1/16.
        positions: Are there learned positions in each block?

    Returns:
        The network.

    Raises:
        ValueError: The image or an option does not fit.

    Paper:
        Hu, Hu and Fredrikson 2026, arXiv:2601.18513 (LipNeXt, ICLR 2026).
    """
    check_sizes("lipnext", width=width, depth=depth)
    patch = max(1, min(input_shape[1:]) // _GRID) if patch is None else patch
    _check(input_shape, width, patch, positions)
    size = (input_shape[1] // patch, input_shape[2] // patch)
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    if patch > 1:
        parts["patches"] = InvertibleDownsampling2d(patch)
    parts["pad"] = ChannelPad(width)
    for i in range(1, depth + 1):
        block = _block(method, width, shift_ratio, size if positions else None)
        parts[f"block{i}"] = nn.Sequential(OrderedDict(mix=block, act=method.act(width)))
    parts |= OrderedDict(pool=L2NormPool2d(size), flatten=nn.Flatten(), head=UnitNormLinear(width, n_classes))
    return nn.Sequential(parts)


def _block(method: Method, width: int, shift_ratio: float, size: tuple[int, int] | None) -> LipNeXtBlock2d:
    rotation, mixing = (method.dense(width, width, bias=False) for _ in range(2))
    try:
        return LipNeXtBlock2d(rotation, mixing, shift_ratio=shift_ratio, image_size=size)
    except ValueError as error:
        raise ValueError(
            f"linear={method.linear!r} with shift_ratio={shift_ratio!r} makes no block of model 'lipnext': {error}"
        ) from error


def _check(input_shape: tuple[int, int, int], width: int, patch: int, positions: bool) -> None:
    check_sizes("lipnext", patch=patch)
    channels, height, wide = input_shape
    if not isinstance(positions, bool):
        raise ValueError(f"positions={positions!r} for model 'lipnext' must be True or False")
    if height % patch or wide % patch:
        raise ValueError(f"patch={patch} for model 'lipnext' does not divide the image of input_shape={input_shape}")
    if width < channels * patch**2:
        raise ValueError(
            f"width={width} for model 'lipnext' must be at least the {channels * patch**2} numbers of a patch"
        )
