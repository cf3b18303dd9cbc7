"""A small network for the 8x8 handwritten digits."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from torch import nn

from onelip.models.method import Method
from onelip.models.registry import check_sizes, register_model


@register_model("digits-net")
def digits_net(
    *,
    input_shape: tuple[int, int, int],
    n_classes: int,
    method: Method,
    widths: Sequence[int] = (32, 64),
    depth: int = 2,
    kernel_size: int = 3,
    dense: Sequence[int] = (256,),
    head: str | None = None,
) -> nn.Sequential:
    """A few convolutions at full and at halved size, then dense layers; made for small grey images.

    Each stage has `depth` convolutions with activations and ends with a pixel-unshuffle, which loses nothing.

    Args:
        input_shape: `(C, H, W)`; H and W must be multiples of 2 to the number of stages.
        n_classes: Number of logits.
        method: How layers are made.
        widths: Channels of each stage.
        depth: Convolutions in a stage.
        kernel_size: Side of the kernels, odd.
        dense: Features of each hidden dense layer; may be empty.
        head: Method of the last layer, a registered dense layer or "plain"; by default that of the others.

    Returns:
        The network.

    Raises:
        ValueError: The image or an option does not fit.
    """
    check_sizes("digits-net", lists={"widths": widths, "dense": dense}, depth=depth, kernel_size=kernel_size)
    unit, (channels, height, width) = 2 ** len(widths), input_shape
    if kernel_size % 2 == 0:
        raise ValueError(f"kernel_size={kernel_size} for model 'digits-net' must be odd")
    if height % unit or width % unit:
        size = "is an image too small for" if min(height, width) < unit else "does not fit"
        raise ValueError(
            f"input_shape={input_shape} {size} model 'digits-net' with {len(widths)} stages; "
            f"height and width must be multiples of {unit}"
        )
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    for stage, n_channels in enumerate(widths, start=1):
        for i in range(1, depth + 1):
            parts[f"conv{stage}_{i}"] = method.conv2d(channels, n_channels, kernel_size)
            parts[f"act{stage}_{i}"] = method.act(n_channels)
            channels = n_channels
        parts[f"down{stage}"] = nn.PixelUnshuffle(2)
        channels *= 4
    parts["flatten"] = nn.Flatten()
    n_features = channels * (height // unit) * (width // unit)
    for i, n_hidden in enumerate(dense, start=1):
        parts[f"dense{i}"], parts[f"act{i}"] = method.dense(n_features, n_hidden), method.act(n_hidden)
        n_features = n_hidden
    parts["head"] = method.dense(n_features, n_classes, name=head)
    return nn.Sequential(parts)
