"""The weights and arguments of torch's dense layers and convolutions, read off a module."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from onelip.layers.registry import Kind

KINDS: Mapping[type[nn.Module], Kind] = {
    nn.Linear: "linear",
    nn.Conv1d: "conv1d",
    nn.Conv2d: "conv2d",
    nn.ConvTranspose2d: "conv_transpose2d",
}
"""Classes of torch that registered layers are drop-ins for."""


@dataclass(frozen=True, eq=False)
class AffineMap:
    """A dense layer or convolution as numbers.

    Attributes:
        kind: What it is in the registry.
        inputs: Channels or features of the input.
        outputs: Channels or features of the output.
        options: The other arguments of its class but for `bias`, by name; none for dense layers.
        weight: In torch's layout.
        bias: `(outputs,)` or None.
    """

    kind: Kind
    inputs: int
    outputs: int
    options: Mapping[str, Any]
    weight: Tensor
    bias: Tensor | None

    @property
    def stride(self) -> tuple[int, ...]:
        """The stride along each axis; empty for dense layers."""
        return tuple(self.options.get("stride", ()))

    @property
    def groups(self) -> int:
        """Number of groups."""
        return int(self.options.get("groups", 1))

    def with_options(self, **changes: Any) -> AffineMap:
        """The same weights with other arguments.

        Args:
            **changes: Arguments by name.

        Returns:
            A new map.
        """
        return replace(self, options={**self.options, **changes})


def kind_of(module: nn.Module) -> Kind | None:
    """Say which kind of registered layer a module of torch could be replaced by.

    Args:
        module: Any module.

    Returns:
        The kind; None for other modules, and for subclasses with a forward method of their own.
    """
    for base, kind in KINDS.items():
        if isinstance(module, base) and type(module).forward is base.forward:
            return kind
    return None


def read_affine(module: Any, kind: Kind) -> AffineMap:
    """Read the weights and arguments of a module.

    Args:
        module: A module for which `kind_of` returned the kind; in eval mode, so that parametrised weights are final.
        kind: The kind.

    Returns:
        The map; its tensors share memory with the module's.

    Raises:
        ValueError: If the weights are not there yet, or are complex.
    """
    owner = type(module).__name__
    if isinstance(module.weight, nn.parameter.UninitializedParameter):
        raise ValueError(f"the weights of {owner} are not initialised; run the network once")
    weight = module.weight.detach()
    bias = None if module.bias is None else module.bias.detach()
    if not weight.is_floating_point():
        raise ValueError(f"weights of {weight.dtype} in {owner} must be real floating-point numbers")
    if kind == "linear":
        return AffineMap(kind, module.in_features, module.out_features, {}, weight, bias)
    names = ["kernel_size", "stride", "padding", "dilation", "groups", "padding_mode"]
    if kind == "conv_transpose2d":
        names.append("output_padding")
    options = {name: getattr(module, name) for name in names}
    if kind == "conv1d":
        # Torch stores one number as a tuple, which 1-D layers need not take.
        options = {n: v[0] if isinstance(v, tuple) else v for n, v in options.items()}
    return AffineMap(kind, module.in_channels, module.out_channels, options, weight, bias)


def without_stride(conv: AffineMap) -> AffineMap:
    """The convolution of stride 1 that a strided one is after `InvertibleDownsampling2d(stride)`.

    Pixel s u + i of channel c is pixel u of channel c s + i there, in both directions. Tap t of a kernel sees pixel
    s u + d t - p, hence block floor((d t - p) / s) at phase (d t - p) mod s. The kernel of blocks is made odd, with
    zeros, so that its padding is "same".

    Args:
        conv: A 2-D convolution.

    Returns:
        The same map of blocks of pixels, for images that the stride divides.

    Raises:
        ValueError: If the output would have another size.
    """
    numbers = conv.with_options(padding=(0, 0)) if conv.options["padding"] == "valid" else conv
    axes = list(zip(*(numbers.options[n] for n in ("kernel_size", "stride", "padding", "dilation")), strict=True))
    if any(not d * (k - 1) + 1 - s <= 2 * p <= d * (k - 1) for k, s, p, d in axes):
        raise ValueError(
            f"stride={conv.stride} with padding={conv.options['padding']} does not divide the size of the image by the "
            f"stride, so no layer of stride 1 after InvertibleDownsampling2d has this output"
        )
    places = [[divmod(d * t - p, s) for t in range(k)] for k, s, p, d in axes]
    radius = [max(abs(block) for block, _ in line) for line in places]
    (s_h, s_w), (r_h, r_w) = conv.stride, radius
    shape = (conv.outputs, conv.weight.shape[1], s_h, s_w, 2 * r_h + 1, 2 * r_w + 1)
    blocks = conv.weight.new_zeros(shape)
    for t, (row, i) in enumerate(places[0]):
        for u, (column, j) in enumerate(places[1]):
            blocks[:, :, i, j, r_h + row, r_w + column] = conv.weight[:, :, t, u]
    options = {"kernel_size": shape[4:], "stride": (1, 1), "padding": tuple(radius), "dilation": (1, 1)}
    kept = {"groups": conv.groups, "padding_mode": conv.options["padding_mode"]}
    return AffineMap(
        conv.kind,
        conv.inputs * math.prod(conv.stride),
        conv.outputs,
        {**options, **kept},
        blocks.flatten(1, 3),
        conv.bias,
    )


def embedded(weight: Tensor, shape: tuple[int, ...]) -> Tensor | None:
    """Fill a weight up with zero channels.

    Args:
        weight: `(out, in, ...)`.
        shape: The shape wanted, with at least as many channels.

    Returns:
        The weight in the first channels; None if the other axes differ.
    """
    if weight.dim() != len(shape) or weight.shape[2:] != torch.Size(shape[2:]):
        return None
    if any(n > m for n, m in zip(weight.shape, shape, strict=True)):
        return None
    filled = weight.new_zeros(shape)
    filled[tuple(map(slice, weight.shape))] = weight
    return filled
