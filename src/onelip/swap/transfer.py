"""Give a network the weights of another one of the same architecture, whose layers may be of other methods."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from onelip.layers import CircularConvTranspose2d, ConstrainedModule
from onelip.layers.explicit_weight import ExplicitWeight
from onelip.layers.plain import evaluating
from onelip.swap.affine import kind_of

_PLAIN = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.ConvTranspose2d, CircularConvTranspose2d)


@torch.no_grad()
def transfer_(target: nn.Module, source: nn.Module) -> dict[str, float]:
    """Give each layer of a network the weight that the layer of the same name has in another one.

    Layers of the same class and options are copied. For others what counts is the weight that the source uses in eval:
    an ordinary layer takes it as it is, and a constrained one projects it onto its set, as `layer.weight = w` does.
    A Bjorck layer of few steps becomes one that is orthogonal, and an ordinary network a constrained one, with as
    little change as the methods allow. The rest of the state is copied.

    Args:
        target: Changed in place; its modes stay.
        source: Has modules of the same names; left alone.

    Returns:
        By how much each layer's weight changed, relative to its length: 0 where it was copied.

    Raises:
        ValueError: The architectures differ, or a layer cannot take the weight; it is named, and the target may have
            been changed.
    """
    with evaluating(target), evaluating(source):
        old, new = _with_tensors(source), _with_tensors(target)
        for name in (*new, *old):
            if name not in old or name not in new:
                where = "the network to begin with has no" if name in new else "only the network to begin with has a"
                raise ValueError(f"{where} layer {name!r}; it must be of the same architecture")
        return {name: _give(name, new[name], old[name]) for name in new}


def _give(name: str, new: Any, old: Any) -> float:
    if type(new) is type(old) and _options(new) == _options(old):
        mine, others = _own(new), _own(old)
        if mine.keys() != others.keys():
            raise ValueError(f"layer {name!r} has {', '.join(mine)} here and {', '.join(others)} there")
        for key, tensor in mine.items():
            _check_shape(f"{key} of layer {name!r}", tensor, others[key])
            tensor.copy_(others[key])
        return 0.0
    if not (_is_plain_map(new) and _is_plain_map(old)):
        raise ValueError(
            f"layer {name!r} is {type(old).__name__} in the network to begin with and {type(new).__name__} here, which "
            f"cannot take its weight"
        )
    given = old.weight.detach()
    _check_shape(f"weight of layer {name!r}", new.weight, given)
    if (new.bias is None) != (old.bias is None):
        raise ValueError(f"layer {name!r} has a bias in one of the two networks only")
    if isinstance(new, ConstrainedModule):
        new.weight = given
    else:
        new.weight.copy_(given)
    if new.bias is not None:
        new.bias.copy_(old.bias)
    length = float(torch.linalg.vector_norm(given.double()))
    change = float(torch.linalg.vector_norm(new.weight.double() - given.double()))
    return change / length if length else change


def _with_tensors(model: nn.Module) -> dict[str, nn.Module]:
    return {name: module for name, module in model.named_modules() if _own(module)}


def _own(module: nn.Module) -> dict[str, Tensor]:
    # What its state dict holds without those of its children.
    saved = {k: b for k, b in module.named_buffers(recurse=False) if k not in module._non_persistent_buffers_set}
    return {**dict(module.named_parameters(recurse=False)), **saved}


def _options(module: nn.Module) -> Any:
    return module.options() if isinstance(module, ExplicitWeight) else None


# Is its weight the matrix or the kernel that is applied?
def _is_plain_map(module: nn.Module) -> bool:
    if not isinstance(module, ExplicitWeight):
        return kind_of(module) is not None
    try:
        return isinstance(module.to_plain(), _PLAIN)
    except ValueError:  # a plain form that is tied to an image size
        return False


def _check_shape(what: str, mine: Tensor, given: Tensor) -> None:
    if mine.shape != given.shape:
        raise ValueError(f"{what} is {tuple(given.shape)} in the network to begin with and {tuple(mine.shape)} here")
