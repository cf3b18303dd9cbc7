"""BRONet: the frame of LiResNet around block reflectors."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from onelip import layers
from onelip.models.frame import Frame, Neck
from onelip.models.method import Method, PaddingMode
from onelip.models.registry import check_sizes, register_model


@register_model("bronet", layer="bro", linear="cholesky")
def bronet(
    *,
    input_shape: tuple[int, int, int],
    n_classes: int,
    method: Method,
    width: int = 512,
    depth: int = 12,
    rank_ratio: float | None = None,
    regularized: int = 0,
    growing: bool = False,
    dense_width: int = 2048,
    dense_depth: int = 8,
    neck: Neck = "patch",
    neck_size: int = 4,
    stem: Sequence[int] | None = None,
) -> nn.Sequential:
    """LiResNet with orthogonal blocks: phi(K * x - mean + b), K a block reflector at each frequency.

    W = I - 2 V (V^H V)^-1 V^H with the spectrum of V = E + depth^-1/2 diag(gamma) R, 3x3, which has `rank_ratio width`
    columns. Everything around the blocks is as in `liresnet`. Padded with zeros, and cropped, as published; with
    `growing` the margin of zeros stays, so that each block is an isometry and the image grows by two pixels.

    As released: on CIFAR the defaults, 69 M parameters (published: 68 M); on Tiny-ImageNet depth 6, rank_ratio 1/8,
    dense_depth 4 and linear="bro", 76 M (75 M); on ImageNet width 588, depth 8, regularized 6, growing, neck "l2" of
    size 8, 86 M.

    Args:
        input_shape: `(C, H, W)`; `neck_size` must divide what reaches the neck.
        n_classes: Number of logits.
        method: How layers are made.
        width: Channels of the blocks.
        depth: Number of orthogonal blocks.
        rank_ratio: Share of the directions that are reflected, 1/2 if None, where the methods have this option.
        regularized: Number of LiResNet blocks before them.
        growing: Does the image grow by two pixels with each orthogonal block?
        dense_width: Features of the dense layers.
        dense_depth: Dense layers after the neck; may be 0.
        neck: "patch" for a dense layer on patches, "l2" for their norm in each channel.
        neck_size: Side of the patches.
        stem: Kernel size and stride of the stem; by default 5 and 2, or 14 and 14 for images from 128 pixels on.

    Returns:
        The network.

    Raises:
        ValueError: The image or an option does not fit.

    Paper:
        Lai, Huang, Kung and Chen 2025, arXiv:2505.15174.
    """
    check_sizes("bronet", depth=depth)
    _check(method, rank_ratio, regularized, growing)
    ratio = 0.5 if rank_ratio is None else rank_ratio
    frame = Frame("bronet", width, dense_width, dense_depth, neck, neck_size, stem, ratio)
    parts, image = frame.start(input_shape, method)
    for i in range(1, regularized + 1):
        conv = layers.conv2d("liresnet", width, width, 3, padding=1, bias=False, depth=regularized)
        parts[f"regularized{i}"] = frame.block(method, conv)
    suggested = {"depth": depth, "rank_ratio": ratio}
    for i in range(1, depth + 1):
        mode: PaddingMode = "circular" if growing else "zeros"
        conv = method.conv2d(width, width, 3, padding_mode=mode, bias=False, suggested=suggested)
        parts[f"block{i}"] = frame.block(method, *([nn.ZeroPad2d(1)] if growing else []), conv)
    image = [n + 2 * depth * growing for n in image]
    return nn.Sequential(parts | frame.end(image, n_classes, method))


def _check(method: Method, rank_ratio: float | None, regularized: int, growing: bool) -> None:
    if regularized != 0:
        check_sizes("bronet", regularized=regularized)
    if not isinstance(growing, bool):
        raise ValueError(f"growing={growing!r} for model 'bronet' must be True or False")
    if rank_ratio is not None and not method.takes("rank_ratio"):
        raise ValueError(
            f"rank_ratio={rank_ratio!r} for model 'bronet' has no effect with layer={method.layer!r} and "
            f"linear={method.linear!r}, which have no such option"
        )
