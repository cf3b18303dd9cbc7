"""Residual layers x - 2 W^T relu(W x + b): the base of the methods that bound ||W||, and their plain form.

The map is one gradient step of a convex function. Its derivative is I - 2 W^T D W with D diagonal between 0 and 1, a
symmetric matrix with eigenvalues in [1 - 2 ||W||^2, 1], so the Lipschitz constant is at most max(1, 2 ||W||^2 - 1), and
at most 1 for ||W|| <= 1.
"""

from __future__ import annotations

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from typing_extensions import override

from onelip.layers.circular import conv_transpose2d_circular
from onelip.layers.constrained import ConstrainedModule
from onelip.layers.conv_arguments import ConvArguments, conv_arguments, positive_int
from onelip.layers.explicit import ExplicitWeight
from onelip.layers.leaf import plain_copy
from onelip.linalg import Bound, add_up, conv_norm_bound, matrix_norm_bound, multiply_up


def residual_bound(weight: Bound) -> Bound:
    """Bound x - 2 W^T relu(W x + b) by max(1, 2 ||W||^2 - 1).

    Args:
        weight: Bound of ||W||.

    Returns:
        The bound, proved if that of the weight is.
    """
    squared = multiply_up(weight.value, weight.value)
    return Bound(max(1.0, add_up(2 * squared, -1.0)), weight.proved, f"gradient step, weight by {weight.method}")


def residual_conv2d(x: Tensor, weight: Tensor, bias: Tensor | None, arguments: ConvArguments) -> Tensor:
    """Apply x - 2 W^T relu(W x + b), W a convolution with padding "same" and W^T its exact adjoint.

    Zero padding is undone by cropping, circular padding by adding what wrapped around; also for even kernels, and for
    kernels larger than the image.

    Args:
        x: `(..., in, H, W)` images.
        weight: `(inner, in/groups, kh, kw)`.
        bias: `(inner,)` or None.
        arguments: Those of W; padding "same", stride 1.

    Returns:
        Images of the same shape.

    Raises:
        ValueError: If the image is smaller than the circular padding.
    """
    a = arguments
    if a.padding_mode == "circular":
        hidden = F.conv2d(a.pad(x), weight, bias, 1, 0, a.dilation, a.groups).relu()
        return torch.sub(x, conv_transpose2d_circular(hidden, weight, None, a), alpha=2)
    left, right, top, bottom = a.pads
    # What is before the image, at most what is after it, is left to the convolutions: no padded copy.
    padded = x if (left, top) == (right, bottom) else F.pad(x, (0, right - left, 0, bottom - top))
    hidden = F.conv2d(padded, weight, bias, 1, (top, left), a.dilation, a.groups).relu()
    back = F.conv_transpose2d(hidden, weight, None, 1, (top, left), 0, a.groups, a.dilation)
    return torch.sub(x, back[..., : x.shape[-2], : x.shape[-1]], alpha=2)


class GradientResidual2d(ConstrainedModule):
    """y = x - 2 W^T relu(W x + b) with a stored convolution W: the plain form of CPL, SLL and their like.

    Its constant is at most max(1, 2 ||W||^2 - 1), with ||W|| proved from the stored kernel, for every image size.

    Shape: `(..., in, H, W)`; the output has the shape of the input.

    Args:
        weight: `(inner, in/groups, kh, kw)`; copied.
        bias: `(inner,)` or None; copied.
        padding_mode: "zeros" or "circular"; the padding is "same".
        dilation: An int or a pair.
        groups: A common divisor of the channels.

    Raises:
        ValueError: If an argument is not allowed, or the bias does not fit.
    """

    def __init__(
        self,
        weight: Tensor,
        bias: Tensor | None = None,
        padding_mode: str = "zeros",
        dilation: int | tuple[int, int] = 1,
        groups: int = 1,
    ) -> None:
        super().__init__()
        inner, inputs, *size = weight.shape
        kernel = (size[0], size[1])
        self.arguments = conv_arguments(
            "GradientResidual2d", inputs * groups, inner, kernel, 1, "same", dilation, groups, padding_mode
        )
        self.weight, self.bias = _own("GradientResidual2d", weight, bias)
        self.eval()

    @override
    def forward(self, x: Tensor) -> Tensor:
        return residual_conv2d(x, self.weight, self.bias, self.arguments)

    @override
    def lipschitz_bound(self, input_shape: tuple[int, ...] | None = None) -> Bound:
        a = self.arguments
        weight = self.weight.detach()
        return residual_bound(conv_norm_bound(weight, dilation=a.dilation, groups=a.groups, at_least=1.0))

    @override
    def to_plain(self) -> nn.Module:
        return plain_copy(self)

    @override
    def extra_repr(self) -> str:
        a = self.arguments
        return (
            f"{a.in_channels}, inner_channels={a.out_channels}, kernel_size={a.kernel_size}, dilation={a.dilation}, "
            f"groups={a.groups}, bias={self.bias is not None}, padding_mode={a.padding_mode!r}"
        )


class GradientResidual1d(ConstrainedModule):
    """y = x - 2 W^T relu(W x + b) with a stored matrix W: the plain form of dense CPL, SLL and their like.

    Shape: `(..., in)`; the output has the shape of the input.

    Args:
        weight: `(inner, in)`; copied.
        bias: `(inner,)` or None; copied.

    Raises:
        ValueError: If the bias does not fit.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None = None) -> None:
        super().__init__()
        self.weight, self.bias = _own("GradientResidual1d", weight, bias)
        self.eval()

    @override
    def forward(self, x: Tensor) -> Tensor:
        return residual_linear(x, self.weight, self.bias)

    @override
    def lipschitz_bound(self, input_shape: tuple[int, ...] | None = None) -> Bound:
        return residual_bound(matrix_norm_bound(self.weight.detach()))

    @override
    def to_plain(self) -> nn.Module:
        return plain_copy(self)

    @override
    def extra_repr(self) -> str:
        inner, inputs = self.weight.shape
        return f"{inputs}, inner_features={inner}, bias={self.bias is not None}"


def residual_linear(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Apply x - 2 W^T relu(W x + b).

    Args:
        x: `(..., in)`.
        weight: `(inner, in)`.
        bias: `(inner,)` or None.

    Returns:
        A tensor of the same shape.
    """
    return torch.sub(x, F.linear(F.linear(x, weight, bias).relu(), weight.T), alpha=2)


def _own(owner: str, weight: Tensor, bias: Tensor | None) -> tuple[nn.Parameter, nn.Parameter | None]:
    if bias is not None and bias.shape != weight.shape[:1]:
        raise ValueError(f"bias={tuple(bias.shape)} in {owner} must have shape {tuple(weight.shape[:1])}")
    copied = None if bias is None else nn.Parameter(bias.detach().clone())
    return nn.Parameter(weight.detach().clone()), copied


class GradientResidualConv2d(ExplicitWeight):
    """Base of convolutional layers x - 2 W^T relu(W x + b) that build a kernel W of norm at most 1 from raw ones.

    The papers write x - 2 W0^T T^-1 relu(W0 x + b0) with a free kernel W0 and a positive diagonal T. Here W = T^-1/2 W0
    and b = T^-1/2 b0, the same set of functions since relu(T^-1/2 z) = T^-1/2 relu(z); b is the learned parameter.

    W has padding "same" inside, whatever `padding` is: with another padding the output is cropped, or zeros are added
    around it, to the size that `torch.nn.Conv2d` would return. Use padding "same".

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output; the same number.
        kernel_size: An int or (height, width).
        stride: 1.
        padding: An int, a pair, "same" or "valid".
        dilation: An int or a pair.
        groups: A common divisor of the channels.
        bias: Add a learned bias inside the ReLU?
        padding_mode: "zeros" or "circular".
        device: Device of the parameters.
        dtype: Precision of the parameters.
        inner_channels: Channels between W and W^T; None for as many as in the input.

    Raises:
        ValueError: If an argument is not allowed.
    """

    paddings: ClassVar[tuple[str, ...]] = ("zeros", "circular")
    bias_starts_at_zero = True

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] | str = 0,
        dilation: int | tuple[int, int] = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        inner_channels: int | None = None,
    ) -> None:
        super().__init__()
        owner = type(self).__name__
        given = conv_arguments(
            owner, in_channels, out_channels, kernel_size, stride, padding, dilation, groups, padding_mode
        )
        check_same(owner, "channels", in_channels, out_channels)
        if given.stride != (1, 1):
            raise ValueError(f"stride={stride!r} in {owner} must be 1, since the input is added to the output")
        inner = in_channels if inner_channels is None else positive_int(owner, "inner_channels", inner_channels)
        if inner % groups:
            raise ValueError(f"groups={groups} does not divide inner_channels={inner} in {owner}; use a divisor")
        self.in_channels, self.out_channels, self.inner_channels = in_channels, out_channels, inner
        self.kernel_size, self.stride, self.padding = given.kernel_size, given.stride, given.padding
        self.dilation, self.groups, self.padding_mode = given.dilation, groups, padding_mode
        self.arguments = given
        self.inner_arguments = conv_arguments(
            owner, in_channels, inner, given.kernel_size, 1, "same", given.dilation, groups, padding_mode
        )
        self.bias = nn.Parameter(torch.empty(inner, device=device, dtype=dtype)) if bias else None
        self._reset_bias(in_channels // groups * given.kernel_size[0] * given.kernel_size[1])

    @property
    def _border(self) -> tuple[int, int, int, int]:
        # Pixels by which the output is larger than the input, (left, right, top, bottom), negative where it is cropped.
        left, right, top, bottom = (g - s for g, s in zip(self.arguments.pads, self.inner_arguments.pads, strict=True))
        return left, right, top, bottom

    @override
    def forward(self, x: Tensor) -> Tensor:
        self.arguments.check_image(x.shape[-2], x.shape[-1])
        y = residual_conv2d(x, self.weight, self.bias, self.inner_arguments)
        return F.pad(y, self._border) if any(self._border) else y

    @override
    def lipschitz_bound(self, input_shape: tuple[int, ...] | None = None) -> Bound:
        weight = self.eval_weight()
        return residual_bound(conv_norm_bound(weight, dilation=self.dilation, groups=self.groups, at_least=1.0))

    @override
    def to_plain(self) -> nn.Module:
        plain = GradientResidual2d(self.eval_weight(), self.bias, self.padding_mode, self.dilation, self.groups)
        return nn.Sequential(plain, nn.ZeroPad2d(self._border)).eval() if any(self._border) else plain

    @override
    def _weight_shape(self) -> tuple[int, ...]:
        return self.inner_channels, self.in_channels // self.groups, *self.kernel_size

    @override
    def _arguments_repr(self) -> list[str]:
        shown = [f"{self.in_channels}", f"{self.out_channels}"]
        for name in ("kernel_size", "stride", "padding", "dilation", "groups"):
            shown.append(f"{name}={getattr(self, name)!r}")
        shown += [f"bias={self.bias is not None}", f"padding_mode={self.padding_mode!r}"]
        return [*shown, f"inner_channels={self.inner_channels}"]


class GradientResidualLinear(ExplicitWeight):
    """Base of dense layers x - 2 W^T relu(W x + b) that build a matrix W of norm at most 1 from raw parameters.

    Args:
        in_features: Size of the input.
        out_features: Size of the output; the same number.
        bias: Add a learned bias inside the ReLU?
        device: Device of the parameters.
        dtype: Precision of the parameters.
        inner_features: Size between W and W^T; None for that of the input.

    Raises:
        ValueError: If an argument is not allowed.
    """

    bias_starts_at_zero = True

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        inner_features: int | None = None,
    ) -> None:
        super().__init__()
        owner = type(self).__name__
        self.in_features = positive_int(owner, "in_features", in_features)
        self.out_features = positive_int(owner, "out_features", out_features)
        check_same(owner, "features", in_features, out_features)
        inner = in_features if inner_features is None else positive_int(owner, "inner_features", inner_features)
        self.inner_features = inner
        self.bias = nn.Parameter(torch.empty(inner, device=device, dtype=dtype)) if bias else None
        self._reset_bias(in_features)

    @override
    def forward(self, x: Tensor) -> Tensor:
        return residual_linear(x, self.weight, self.bias)

    @override
    def lipschitz_bound(self, input_shape: tuple[int, ...] | None = None) -> Bound:
        return residual_bound(matrix_norm_bound(self.eval_weight()))

    @override
    def to_plain(self) -> nn.Module:
        return GradientResidual1d(self.eval_weight(), self.bias)

    @override
    def _weight_shape(self) -> tuple[int, ...]:
        return self.inner_features, self.in_features

    @override
    def _arguments_repr(self) -> list[str]:
        shown = [f"{self.in_features}", f"{self.out_features}", f"bias={self.bias is not None}"]
        return [*shown, f"inner_features={self.inner_features}"]


def check_same(owner: str, what: str, inputs: int, outputs: int) -> None:
    """Check that a layer that adds its input to its output keeps their number.

    Args:
        owner: Class that the user called.
        what: "channels" or "features".
        inputs: Number of inputs.
        outputs: Number of outputs.

    Raises:
        ValueError: If the numbers differ.
    """
    if inputs != outputs:
        remedy = " (use ChannelPad or ChannelKeep to change their number)" if what == "channels" else ""
        raise ValueError(f"out_{what}={outputs} in {owner} must equal in_{what}={inputs}{remedy}")
