"""FastClip until the norm is right: matrices, symbols and top triplets, whichever tells most at least cost."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from onelip.spectral.affine_map import AffineMap
from onelip.spectral.clip_fourier import clip_symbol, symbol_of
from onelip.spectral.cutting_planes import clip_by_cutting_planes_
from onelip.spectral.descent import descend
from onelip.spectral.parts import Called
from onelip.spectral.singular_values import singular_values
from onelip.spectral.top_value import DENSE_ENTRIES, top_value
from onelip.spectral.weighted_map import WeightedMap

_FEW = 24
"""So many values above the bound are cut off one by one."""

_DECOMPOSED = 256 * 256
"""Convolutions with at most so many matrix entries are clipped by their matrix."""

_MISSED = 2e-3
_MOST_AGAIN = 15


def fastclip_(module: nn.Module, input_shape: tuple[int, ...], max_norm: float) -> None:
    """Lower the norm of an affine module to a bound and move its weights little.

    Dense layers, and convolutions whose patches do not overlap, are matrices: U min(S, max_norm) V^T. Maps with few
    entries are clipped by a descent on all that is above. Other convolutions with many values above the
    bound are projected at the frequencies of a grid first. What is still above is cut off by the gradients of the top
    singular triplets, as in the published FastClip, but with all that are above at once, and with the step that
    takes them to the bound together.

    Args:
        module: Affine, in eval mode; changed in place.
        input_shape: Shape of one input, without the batch.
        max_norm: What the norm is to be at most.

    Paper: Ebrahimpour-Boroojeny, Telgarsky and Sundaram 2024, arXiv:2402.16017.
    """
    layer = _only_layer(module)
    if _is_matrix(layer):
        _clip_matrices_(layer, max_norm)
        return
    operator = AffineMap(module, input_shape)
    convolution = isinstance(layer, _ConvNd)
    if operator.n_inputs * operator.n_outputs <= (_DECOMPOSED if convolution else DENSE_ENTRIES):
        map_ = WeightedMap(module, input_shape)
        map_.write_(descend(map_, max_norm))
        return
    if isinstance(layer, _ConvNd) and _many_above(operator, max_norm) and _clip_by_symbol_(module, layer, input_shape, max_norm):
        return
    clip_by_cutting_planes_(module, input_shape, max_norm)


def _only_layer(module: nn.Module) -> nn.Module:
    while True:
        if isinstance(module, Called):
            module = module.module
        elif isinstance(module, nn.Sequential) and len(module) == 1:
            module = module[0]
        else:
            return module


# Do the outputs depend on patches of the input that do not overlap, and are not cut at the border?
def _is_matrix(layer: nn.Module) -> bool:
    if type(layer) is nn.Linear:
        return True
    if not isinstance(layer, _ConvNd):
        return False
    axes = zip(layer.kernel_size, layer.stride, layer.dilation, strict=True)
    apart = all(s >= d * (k - 1) + 1 for k, s, d in axes)
    return apart and layer.padding_mode == "zeros" and layer.padding in ("valid", (0,) * len(layer.kernel_size))


def _clip_matrices_(layer: nn.Module, max_norm: float) -> None:
    weight = cast(Tensor, layer.weight)
    matrices = weight.detach().unflatten(0, (getattr(layer, "groups", 1), -1)).flatten(2)
    u, s, vh = torch.linalg.svd(matrices.double(), full_matrices=False)
    # Only what is above is taken off, so that the rest keeps its digits.
    excess = (u * (s - max_norm).clamp(min=0)[..., None, :]) @ vh
    with torch.no_grad():
        weight.copy_((matrices.double() - excess).reshape(weight.shape))


def _many_above(operator: AffineMap, max_norm: float) -> bool:
    top = singular_values(operator, None, min(_FEW, operator.n_inputs, operator.n_outputs), 0.05, max_iter=20)
    return float(top.values[-1]) > max_norm


# Projects at the frequencies of a grid; is the rest so small that it may be divided off?
def _clip_by_symbol_(module: nn.Module, layer: _ConvNd, input_shape: tuple[int, ...], max_norm: float) -> bool:
    symbol = symbol_of(layer, input_shape)
    map_ = WeightedMap(module, input_shape)
    first = clip_symbol(layer, symbol, max_norm)
    map_.write_(first.point.reshape(-1))
    ratio = top_value(module, input_shape) / max_norm
    if ratio > 1 + _MISSED and layer.padding_mode not in ("zeros", "circular"):
        return False
    if abs(ratio - 1) > _MISSED:
        # From the first weights again, so that it is a projection of these.
        map_.write_(map_.start)
        again = clip_symbol(layer, symbol, max_norm / ratio, dual=first.dual, max_iter=_MOST_AGAIN)
        map_.write_(again.point.reshape(-1))
    return True
