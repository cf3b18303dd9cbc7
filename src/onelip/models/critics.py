"""Critics of generative adversarial networks: the discriminators of DCGAN and InfoGAN without normalisation."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from torch import nn

from onelip.layers import InvertibleDownsampling2d
from onelip.models.method import PLAIN, Method
from onelip.models.registry import check_sizes, register_model

_SMALLEST = 8
"""Images with a shorter side are not halved any more."""


@register_model("dcgan-critic", layer="bcop", linear="bjorck")
def dcgan_critic(
    *, input_shape: tuple[int, int, int], n_classes: int, method: Method, width: int = 64, down_kernel: int = 2
) -> nn.Sequential:
    """Convolutions of stride 2, each with twice as many channels, until 4 to 7 pixels are left, and a dense layer.

    The image is taken at its own size: nothing is upsampled, which would multiply distances. It is halved while both
    sides are even and at least 8: once at 8x8, twice at 28x28, three times at 32x32, four times at 64x64 and 96x96. A
    convolution with a 4x4 kernel and stride 2 is a 2x2 kernel on the image halved without loss, except with "plain",
    for which it is one of torch's, with a padding of 1.

    Args:
        input_shape: `(C, H, W)`; H and W must be multiples of 2 and at least 8.
        n_classes: Number of outputs; 1 for a critic.
        method: How layers are made.
        width: Channels of the first convolution.
        down_kernel: Side of the kernels on halved images; methods without even ones take 3. "plain" has no use for it.

    Returns:
        The network.

    Raises:
        ValueError: The image or an option does not fit.

    Paper:
        Radford, Metz and Chintala 2015, arXiv:1511.06434; as a critic without normalisation, Li, Haque, Anil, Lucas,
        Grosse and Jacobsen 2019, arXiv:1911.00937.
    """
    check_sizes("dcgan-critic", width=width, down_kernel=down_kernel)
    _, height, wide = input_shape
    widths: list[int] = []
    while height % 2 == 0 and wide % 2 == 0 and min(height, wide) >= _SMALLEST:
        widths.append(width * 2 ** len(widths))
        height, wide = height // 2, wide // 2
    if not widths:
        raise ValueError(
            f"input_shape={input_shape} does not fit model 'dcgan-critic'; height and width must be even and at "
            f"least {_SMALLEST}"
        )
    return _critic("dcgan-critic", input_shape, n_classes, method, widths, (), down_kernel)


@register_model("infogan-critic", layer="bcop", linear="bjorck")
def infogan_critic(
    *,
    input_shape: tuple[int, int, int],
    n_classes: int,
    method: Method,
    widths: Sequence[int] = (64, 128),
    dense: Sequence[int] = (1024,),
    down_kernel: int = 2,
) -> nn.Sequential:
    """Two convolutions of stride 2 and two dense layers, as the discriminator of InfoGAN.

    Convolutions are made as those of `dcgan-critic`.

    Args:
        input_shape: `(C, H, W)`; H and W must be multiples of 2 to the number of convolutions.
        n_classes: Number of outputs; 1 for a critic.
        method: How layers are made.
        widths: Channels of each convolution.
        dense: Features of each hidden dense layer; may be empty.
        down_kernel: Side of the kernels on halved images; methods without even ones take 3. "plain" has no use for it.

    Returns:
        The network.

    Raises:
        ValueError: The image or an option does not fit.

    Paper:
        Chen, Duan, Houthooft, Schulman, Sutskever and Abbeel 2016, arXiv:1606.03657; as a critic of 1-Lipschitz layers,
        Anil, Lucas and Grosse 2019, arXiv:1811.05381.
    """
    name = "infogan-critic"
    check_sizes(name, lists={"widths": widths, "dense": dense}, down_kernel=down_kernel)
    return _critic(name, input_shape, n_classes, method, widths, dense, down_kernel)


def _critic(
    name: str,
    input_shape: tuple[int, int, int],
    n_classes: int,
    method: Method,
    widths: Sequence[int],
    dense: Sequence[int],
    down_kernel: int,
) -> nn.Sequential:
    channels, height, wide = input_shape
    unit = 2 ** len(widths)
    if height % unit or wide % unit:
        raise ValueError(
            f"input_shape={input_shape} does not fit model {name!r}, which halves the image {len(widths)} times; "
            f"height and width must be multiples of {unit}"
        )
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    for i, n_out in enumerate(widths, start=1):
        if method.layer == PLAIN:
            parts[f"conv{i}"] = method.conv2d(channels, n_out, 4, stride=2, padding_mode="zeros")
        else:
            parts[f"down{i}"] = InvertibleDownsampling2d(2)
            parts[f"conv{i}"] = method.conv2d(4 * channels, n_out, down_kernel)
        parts[f"act{i}"] = method.act(n_out)
        channels = n_out
    parts["flatten"] = nn.Flatten()
    n_features = channels * (height // unit) * (wide // unit)
    for i, n_hidden in enumerate(dense, start=1):
        parts[f"dense{i}"], parts[f"dense_act{i}"] = method.dense(n_features, n_hidden), method.act(n_hidden)
        n_features = n_hidden
    parts["head"] = method.dense(n_features, n_classes)
    return nn.Sequential(parts)
