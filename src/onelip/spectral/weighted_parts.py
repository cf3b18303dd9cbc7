"""The parts of a network whose weights a method may change, and the parameter that scales each."""

from __future__ import annotations

import math
from typing import cast

from torch import nn
from torch.nn.utils.parametrize import is_parametrized

from onelip.spectral.parts import CONVOLUTIONS, NORMS, TRANSPOSED, Called, Part, affine_parts
from onelip.spectral.tensor_train import TTConv2d

_WEIGHTED = (*CONVOLUTIONS, *TRANSPOSED, nn.Linear, TTConv2d)


def weighted_parts(model: nn.Module, input_shape: tuple[int, ...]) -> tuple[Part, ...]:
    """List the convolutions and dense layers of a network, each with the input shape that it really gets.

    Left out are batch normalisations, and this library's own constrained layers, which need no help.

    Args:
        model: Any module that maps `(B, *input_shape)`.
        input_shape: Shape of one input, without the batch.

    Returns:
        The parts, in order of execution; convolutions as tensor trains among them.

    Raises:
        ValueError: If the weight of one is parametrised, so that it cannot be set.
    """
    parts = tuple(part for part in affine_parts(model, input_shape) if isinstance(own_module(part), _WEIGHTED))
    for part in parts:
        if any(is_parametrized(module) for module in part.module.modules()):
            raise ValueError(
                f"the weight of {part.name!r} is parametrised, so no method can set it; remove its parametrisation"
            )
    return parts


def weighted_layers(model: nn.Module, input_shape: tuple[int, ...]) -> tuple[nn.Module, ...]:
    """List the modules of torch that hold the weights of `weighted_parts`, each once.

    Args:
        model: Any module that maps `(B, *input_shape)`.
        input_shape: Shape of one input, without the batch.

    Returns:
        Convolutions and dense layers, in order of execution; the factors of tensor trains each by itself.
    """
    layers: dict[int, nn.Module] = {}
    for part in weighted_parts(model, input_shape):
        module = own_module(part)
        for layer in module.children() if isinstance(module, TTConv2d) else (module,):
            layers[id(layer)] = layer
    return tuple(layers.values())


def own_module(part: Part) -> nn.Module:
    """Find the network's own module in a part of one module.

    Args:
        part: A part.

    Returns:
        The module that is called, where the part is a call with further arguments.
    """
    return part.module.module if isinstance(part.module, Called) else part.module


def scaling_parameter(module: nn.Module) -> nn.Parameter:
    """Find the parameter that the linear part of an affine module is proportional to.

    The weight of a convolution, dense layer or batch normalisation; of a sequence that of its last module with one.

    Args:
        module: An affine module.

    Returns:
        The module's own parameter.

    Raises:
        ValueError: If the module has none.
    """
    if isinstance(module, Called):
        return scaling_parameter(module.module)
    if isinstance(module, TTConv2d):
        return scaling_parameter(module.core)
    if isinstance(module, nn.Sequential):
        for child in reversed(module):
            if any(True for _ in child.parameters()):
                return scaling_parameter(child)
    elif isinstance(module, (*_WEIGHTED, *NORMS)) and not is_parametrized(module) and module.weight is not None:
        return cast(nn.Parameter, module.weight)
    raise ValueError(
        f"{type(module).__name__} has no parameter that scales it; give a convolution, a dense layer, a batch "
        "normalisation with a weight, or a sequence of them"
    )


def checked_norm(owner: str, max_norm: float) -> float:
    """Check the largest norm allowed.

    Args:
        owner: What the user called.
        max_norm: What the user gave.

    Returns:
        The number.

    Raises:
        ValueError: If it is not a positive finite number.
    """
    if isinstance(max_norm, bool) or not isinstance(max_norm, int | float) or not 0 < max_norm < math.inf:
        raise ValueError(f"max_norm={max_norm!r} in {owner} must be a positive number")
    return float(max_norm)
