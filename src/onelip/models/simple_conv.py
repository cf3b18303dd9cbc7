"""One convolution and one dense layer."""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from onelip.models.method import Method, PaddingMode
from onelip.models.registry import check_flags, check_sizes, register_model


@register_model("simple-conv")
def simple_conv(
    *,
    input_shape: tuple[int, int, int],
    n_classes: int,
    method: Method,
    width: int = 64,
    kernel_size: int = 3,
    stride: int = 1,
    padding: int = 1,
    dilation: int = 1,
    padding_mode: PaddingMode = "zeros",
    batch_norm: bool = True,
) -> nn.Sequential:
    """One convolution without bias, batch normalisation, an activation and a dense layer: for looking at one norm.

    Args:
        input_shape: `(C, H, W)`.
        n_classes: Number of logits.
        method: How layers are made.
        width: Channels of the convolution.
        kernel_size: Side of its kernel.
        stride: Its stride.
        padding: Pixels that it adds on each side.
        dilation: Its dilation.
        padding_mode: How it pads, if its method can.
        batch_norm: Is there batch normalisation? Without, it is left out.

    Returns:
        The network.

    Raises:
        ValueError: The image or an option does not fit.

    Paper:
        Ebrahimpour-Boroojeny, Telgarsky and Sundaram 2024, arXiv:2402.16017.
    """
    check_sizes("simple-conv", width=width, kernel_size=kernel_size, stride=stride, dilation=dilation)
    check_flags("simple-conv", batch_norm=batch_norm)
    if type(padding) is not int or padding < 0:
        raise ValueError(f"padding={padding!r} for model 'simple-conv' must be an integer >= 0")
    if min(input_shape[1:]) + 2 * padding < dilation * (kernel_size - 1) + 1:
        raise ValueError(
            f"input_shape={input_shape} does not fit model 'simple-conv' with kernel_size={kernel_size}, "
            f"padding={padding}, dilation={dilation}"
        )
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    parts["conv"] = method.exact_conv2d(
        input_shape[0],
        width,
        kernel_size,
        stride=stride,
        padding=padding,
        dilation=dilation,
        padding_mode=padding_mode,
        bias=False,
    )
    if batch_norm:
        parts["bn"] = nn.BatchNorm2d(width)
    parts |= OrderedDict(act=method.act(width), flatten=nn.Flatten())
    sizes = [(n + 2 * padding - dilation * (kernel_size - 1) - 1) // stride + 1 for n in input_shape[1:]]
    parts["fc"] = method.dense(width * sizes[0] * sizes[1], n_classes)
    return nn.Sequential(parts)
