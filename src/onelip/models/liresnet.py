"""LiResNet with dense residual layers orthogonalised by Cholesky factors."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from onelip.models.frame import Frame, Neck
from onelip.models.method import Method
from onelip.models.registry import check_sizes, register_model


@register_model("liresnet", layer="liresnet", linear="cholesky")
def liresnet(
    *,
    input_shape: tuple[int, int, int],
    n_classes: int,
    method: Method,
    width: int = 512,
    depth: int = 12,
    dense_width: int = 2048,
    dense_depth: int = 8,
    neck: Neck = "patch",
    neck_size: int = 4,
    stem: Sequence[int] | None = None,
) -> nn.Sequential:
    """A stem of known norm, linear residual blocks, a map of patches, dense residual layers and a unit-norm head.

    x0 = phi(K0 * x + b0) with a 5x5 kernel of stride 2, or 14x14 patches of large images; `depth` blocks
    x <- phi(K * x - mean + b), K = (I + depth^-1/2 diag(gamma) W) over its norm, 3x3, padded with zeros; then 4x4
    patches to one pixel each, a dense layer phi(D x + b) to `dense_width`, `dense_depth` of them with D the orthogonal
    factor of I + dense_depth^-1/2 diag(gamma) W; and rows of norm 1. Published differently: blocks are not divided by
    their norms, but margins by the product, and the mean is that of W * x alone, in eval a part of the bias either way.
    The network's constant is that of the stem, which the loss has to mind (`RegularizedConv2d.norm_estimate`).

    83 M parameters for CIFAR-10, 134 M for Tiny-ImageNet (published: 133 M), 98 M for ImageNet at width 588; 49 M for
    CIFAR-10 without dense layers, as first published.

    Args:
        input_shape: `(C, H, W)`; `neck_size` must divide what the stem makes of H and W.
        n_classes: Number of logits.
        method: How layers are made.
        width: Channels of the blocks.
        depth: Number of blocks.
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
        Hu, Zou, Wang, Leino and Fredrikson 2023, arXiv:2301.12549; Hu, Leino, Wang and Fredrikson 2024,
        arXiv:2310.02513, for the dense layers.
    """
    check_sizes("liresnet", depth=depth)
    frame = Frame("liresnet", width, dense_width, dense_depth, neck, neck_size, stem)
    parts, image = frame.start(input_shape, method)
    for i in range(1, depth + 1):
        conv = method.conv2d(width, width, 3, padding_mode="zeros", bias=False, suggested={"depth": depth})
        parts[f"block{i}"] = frame.block(method, conv)
    return nn.Sequential(parts | frame.end(image, n_classes, method))
