"""Constants of torch's convolution functions, and of convolutions of volumes."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from onelip.bounds.affine_rules import Pads, conv_bound
from onelip.bounds.registry import Call, Refused, plain, register_calls, register_modules
from onelip.bounds.windows import padding_repeats, per_axis, repeats_bound
from onelip.linalg import Bound, add_up, conv_norm_bound, matrix_norm_bound

DENSE_ENTRIES = 2**19
"""Largest matrix of a convolution of a volume whose own norm is proved."""


def volume_norm_bound(
    weight: Tensor, groups: int, operator: Callable[[Tensor], Tensor], shape: tuple[int, ...]
) -> Bound:
    """Bound a convolution of volumes with zero padding, or a transposed one.

    It is the sum over taps of a shift times the matrix of the tap. Where the whole matrix is small, its own norm is
    proved as well: with zero padding its entries are weights and zeros, which products with one and sums with zero
    leave exact.

    Args:
        weight: `(out, in/groups, kd, kh, kw)`, or of the transposed convolution.
        groups: Number of groups.
        operator: The convolution without bias, in float64.
        shape: Shape of one input sample.

    Returns:
        The proved bound.
    """
    taps = [part.double().flatten(2).unbind(2) for part in weight.detach().chunk(groups)]
    value = 0.0
    for part in taps:
        total = 0.0
        for tap in part:
            total = add_up(total, matrix_norm_bound(tap).value)
        value = max(value, total)
    size = math.prod(shape)
    probe = operator(torch.zeros(1, *shape, dtype=torch.float64))
    if size * probe.numel() > DENSE_ENTRIES:
        return Bound(value, True, "sum over taps")
    matrix = operator(torch.eye(size, dtype=torch.float64).reshape(size, *shape)).flatten(1)
    return min(Bound(value, True, "sum over taps"), matrix_norm_bound(matrix), key=lambda bound: bound.value)


def convolution_bound(
    weight: Tensor, shape: tuple[int, ...], *, stride: Any, dilation: Any, groups: int, pads: Pads, mode: str = "zeros"
) -> Bound:
    """Bound a convolution in one, two or three dimensions at one image size.

    Args:
        weight: `(out, in/groups, k, ...)`.
        shape: Shape of one input sample.
        stride: One number, or one for each axis.
        dilation: Likewise.
        groups: Number of groups.
        pads: (before, after) for each axis.
        mode: "zeros", "circular", "reflect" or "replicate".

    Returns:
        The proved bound.
    """
    n_axes = weight.dim() - 2
    stride, dilation = per_axis(stride, n_axes), per_axis(dilation, n_axes)
    if n_axes < 3:
        options = {"stride": stride, "dilation": dilation, "groups": groups, "pads": pads, "mode": mode}
        return conv_bound(weight, shape[1:], **options)
    counts = [padding_repeats(n, *p, mode) for n, p in zip(shape[1:], pads, strict=True)]
    # With other than zeros, what is convolved is the padded volume, of whose voxels some are copies.
    padded = (shape[0], *(n + sum(p) for n, p in zip(shape[1:], pads, strict=True)))
    zeros = [p for side in reversed(pads) for p in side] if max(counts) == 1 else [0] * (2 * n_axes)
    kernel = weight.detach().double().cpu()

    def operator(x: Tensor) -> Tensor:
        return F.conv3d(F.pad(x, zeros), kernel, None, stride, 0, dilation, groups)

    own = volume_norm_bound(weight, groups, operator, shape if max(counts) == 1 else padded)
    return own if max(counts) == 1 else own.then(repeats_bound(counts, own.method))


def transposed_bound(weight: Tensor, shape: tuple[int, ...], *options: Any) -> Bound:
    """Bound a transposed convolution in one, two or three dimensions.

    Args:
        weight: `(in, out/groups, k, ...)`.
        shape: Shape of one input sample.
        *options: Stride, padding, output padding, groups and dilation, in the order of `F.conv_transpose2d`.

    Returns:
        The proved bound.
    """
    stride, _, _, groups, dilation = options
    n_axes = weight.dim() - 2
    if n_axes < 3:
        # The adjoint of a zero-padded convolution of a larger image, cropped.
        kernel = weight if n_axes == 2 else weight[:, :, None]
        steps, gaps = ((1, *per_axis(o, n_axes))[-2:] for o in (stride, dilation))
        return conv_norm_bound(kernel, stride=(steps[0], steps[1]), dilation=(gaps[0], gaps[1]), groups=groups)
    volume = weight.detach().double().cpu()
    return volume_norm_bound(weight, groups, lambda x: F.conv_transpose3d(x, volume, None, *options), shape)


def module_pads(module: Any) -> Pads:
    """Read off what a convolution of torch pads.

    Args:
        module: An `nn.Conv1d`, `nn.Conv2d` or `nn.Conv3d`.

    Returns:
        (before, after) for each axis.
    """
    sides = list(module._reversed_padding_repeated_twice)
    return tuple((sides[i], sides[i + 1]) for i in range(len(sides) - 2, -1, -2))


def call_pads(weight: Tensor, padding: Any, dilation: Any) -> Pads:
    """Find what a convolution function pads.

    Args:
        weight: `(out, in/groups, k, ...)`.
        padding: As the function takes it: numbers, "valid" or "same".
        dilation: As the function takes it.

    Returns:
        (before, after) for each axis.
    """
    n_axes = weight.dim() - 2
    if padding == "same":
        reach = [d * (k - 1) for d, k in zip(per_axis(dilation, n_axes), weight.shape[2:], strict=True)]
        return tuple((r // 2, r - r // 2) for r in reach)
    return tuple((p, p) for p in per_axis(0 if padding == "valid" else padding, n_axes))


def stored_weight(call: Call) -> Tensor:
    """Take the weight of a call of a convolution or linear function.

    Args:
        call: The call.

    Returns:
        The stored tensor.

    Raises:
        Refused: If anything but the first argument depends on the network's input.
    """
    first = call.args[0] if call.args else call.kwargs.get("input")
    if call.only_signal()[0] is not plain(first):
        raise Refused("only its input may depend on the input of the network")
    weight: Tensor = call.argument(1, "weight")
    return weight


def transposed_options(call: Call) -> tuple[Any, ...]:
    """Collect the options of a call of a transposed convolution.

    Args:
        call: The call.

    Returns:
        Stride, padding, output padding, groups and dilation.
    """
    defaults = (("stride", 1), ("padding", 0), ("output_padding", 0), ("groups", 1), ("dilation", 1))
    return tuple(call.argument(i + 3, name, default) for i, (name, default) in enumerate(defaults))


def _convolution(call: Call) -> Bound:
    value, before = call.only_signal()
    weight, dilation = stored_weight(call), call.argument(5, "dilation", 1)
    pads = call_pads(weight, call.argument(4, "padding", 0), dilation)
    options = {"stride": call.argument(3, "stride", 1), "dilation": dilation, "groups": call.argument(6, "groups", 1)}
    return before.then(convolution_bound(weight, tuple(value.shape[1:]), pads=pads, **options))


def _transposed(call: Call) -> Bound:
    value, before = call.only_signal()
    return before.then(transposed_bound(stored_weight(call), tuple(value.shape[1:]), *transposed_options(call)))


def _volume_module(m: Any, shape: tuple[int, ...]) -> Bound:
    options = {"stride": m.stride, "dilation": m.dilation, "groups": m.groups, "mode": m.padding_mode}
    return convolution_bound(m.weight, shape, pads=module_pads(m), **options)


def _transposed_volume_module(m: Any, shape: tuple[int, ...]) -> Bound:
    return transposed_bound(m.weight, shape, m.stride, m.padding, m.output_padding, m.groups, m.dilation)


CONVOLUTIONS = (F.conv1d, F.conv2d, F.conv3d, torch.conv1d, torch.conv2d, torch.conv3d)
"""Functions that convolve."""

TRANSPOSED = (
    F.conv_transpose1d,
    F.conv_transpose2d,
    F.conv_transpose3d,
    torch.conv_transpose1d,
    torch.conv_transpose2d,
    torch.conv_transpose3d,
)
"""Functions that apply the adjoint of a convolution."""

register_modules(_volume_module, nn.Conv3d)
register_modules(_transposed_volume_module, nn.ConvTranspose3d)
register_calls(_convolution, *CONVOLUTIONS)
register_calls(_transposed, *TRANSPOSED)
