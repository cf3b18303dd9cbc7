"""What modules that apply a dense layer's matrix in another way ask of it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from onelip.layers.explicit import ExplicitLinear

DenseLayer = ExplicitLinear | nn.Linear
"""A dense layer whose weight is a matrix: of this library, or torch's own."""


def checked_dense(owner: str, name: str, layer: nn.Module, in_features: int | None = None) -> DenseLayer:
    """Check that a module is a dense layer with a weight, and of the right size.

    Args:
        owner: Class that the user called.
        name: Name of the argument.
        layer: What the user gave.
        in_features: Size of its input, or None for any.

    Returns:
        The layer.

    Raises:
        ValueError: It is something else.
    """
    if not isinstance(layer, (ExplicitLinear, nn.Linear)):
        raise ValueError(
            f"{name}={type(layer).__name__} in {owner} must be a dense layer with an explicit weight, such as "
            f"CholeskyLinear or torch.nn.Linear"
        )
    if in_features is not None and layer.in_features != in_features:
        raise ValueError(
            f"{name}={type(layer).__name__} in {owner} has in_features={layer.in_features}, where {in_features} are "
            f"needed"
        )
    return layer


def raw_tensors(layer: DenseLayer) -> tuple[Tensor, ...]:
    """List the tensors that a layer's weight depends on.

    Args:
        layer: The layer.

    Returns:
        Its raw parameters, or its weight.
    """
    return layer.raw if isinstance(layer, ExplicitLinear) else (layer.weight,)


def frozen_weight(layer: DenseLayer) -> Tensor:
    """Build the weight that eval uses, whatever the mode, without gradient.

    Args:
        layer: The layer.

    Returns:
        `(out, in)`.
    """
    return layer.eval_weight() if isinstance(layer, ExplicitLinear) else layer.weight.detach()


def plain_pointwise(weight: Tensor, bias: Tensor | None = None, patch: int = 1) -> nn.Conv2d:
    """Make the convolution that applies a matrix to every patch of an image.

    Args:
        weight: `(out, in patch^2)`.
        bias: `(out,)` or None.
        patch: Side of the patches.

    Returns:
        A convolution with copies of the numbers, in eval mode.
    """
    out, size = weight.shape
    plain = nn.Conv2d(
        size // patch**2, out, patch, patch, bias=bias is not None, device=weight.device, dtype=weight.dtype
    )
    with torch.no_grad():
        plain.weight.copy_(weight.reshape(plain.weight.shape))
        if plain.bias is not None and bias is not None:
            plain.bias.copy_(bias)
    return plain.eval()
