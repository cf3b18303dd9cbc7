"""FastClip until the norm is right: matrices, symbols and top triplets, whichever tells most at least cost."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from onelip.spectral.affine_map import AffineMap
from onelip.spectral.clip_batch_norm import batch_norm_gains
from onelip.spectral.clip_fourier import clip_symbol, symbol_of, torus_norm
from onelip.spectral.cutting_planes import clip_by_cutting_planes_
from onelip.spectral.descent import descend
from onelip.spectral.parts import CONVOLUTIONS, NORMS, Called
from onelip.spectral.top_value import COARSE, DENSE_ENTRIES, top_value
from onelip.spectral.weighted_map import WeightedMap

_DECOMPOSED = 256 * 256
"""Convolutions with at most so many matrix entries are clipped by their matrix."""

_SCALED = 5e-3
"""Relative excess that is divided off, or slack that is left."""

_TIGHT = 1e-2
"""Relative excess of the norm on a circle over that of the layer, up to which the former is taken for the latter."""

_MOST_STEPS = 60
_MOST_PROJECTIONS = 4


def fastclip_(module: nn.Module, input_shape: tuple[int, ...], max_norm: float) -> None:
    """Lower the norm of an affine module to a bound and move its weights little.

    Dense layers, and convolutions whose patches do not overlap, are matrices: U min(S, max_norm) V^T. Maps with few
    entries are clipped by a descent on all that is above. Other convolutions, also with a batch normalisation behind
    them, are projected at the frequencies of a grid, until the norm on the circle that they are a section of obeys.
    Where there is no such circle, and for layers one after the other, the top singular triplets are cut off by their
    gradients, as in the published FastClip, but with all that are above at once, and with the step that takes them to
    the bound together.

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
    elif _clip_normalised_(module, input_shape, max_norm):
        pass
    elif not (isinstance(layer, _ConvNd) and _clip_by_symbol_(module, layer, input_shape, max_norm)):
        clip_by_cutting_planes_(module, input_shape, max_norm)


# A layer and the normalisation behind it are one layer, with scaled rows.
def _clip_normalised_(module: nn.Module, input_shape: tuple[int, ...], max_norm: float) -> bool:
    layers = [_only_layer(child) for child in module] if isinstance(module, nn.Sequential) else []
    if len(layers) != 2 or type(layers[0]) not in (*CONVOLUTIONS, nn.Linear) or not isinstance(layers[1], NORMS):
        return False
    layer, norm = layers
    if any(m._forward_hooks or m._forward_pre_hooks for m in module.modules()) or _mixes_rows(layer, input_shape):
        return False
    weight = cast(Tensor, layer.weight)
    factors = batch_norm_gains(cast(nn.BatchNorm2d, norm)).to(weight).reshape(-1, *[1] * (weight.dim() - 1))
    scaled = copy.deepcopy(layer)
    scaled_weight = cast(Tensor, scaled.weight)
    with torch.no_grad():
        scaled_weight.mul_(factors)
        fastclip_(scaled, input_shape, max_norm)
        # Rows that the normalisation takes to 0 stay.
        weight.copy_(torch.where(factors == 0, weight, scaled_weight / factors))
    return True


# Along the axis of a dense layer's output that a normalisation takes for channels are its rows, if there is no other.
def _mixes_rows(layer: nn.Module, input_shape: tuple[int, ...]) -> bool:
    return isinstance(layer, nn.Linear) and len(input_shape) != 1


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


# Projects at the frequencies of a grid until the layer itself obeys; does it?
def _clip_by_symbol_(module: nn.Module, layer: _ConvNd, input_shape: tuple[int, ...], max_norm: float) -> bool:
    symbol = symbol_of(layer, input_shape)
    map_ = WeightedMap(module, input_shape)
    norm, start = _norm(module, layer, input_shape, None)
    # Small images have a smaller norm than the circle.
    bound, dual = max_norm * norm.slack, None
    for _ in range(_MOST_PROJECTIONS):
        # From the first weights each time, so that it is a projection of these.
        map_.write_(map_.start)
        found = clip_symbol(layer, symbol, bound, dual=dual, max_iter=_MOST_STEPS)
        dual = found.dual
        map_.write_(found.point.reshape(-1))
        norm, start = _norm(module, layer, input_shape, start)
        ratio = norm.value / max_norm
        if not norm.on_circle and ratio > 1 + _SCALED:
            return False
        if 1 - _SCALED <= ratio <= 1 + _SCALED:
            map_.write_(found.point.reshape(-1) / max(1.0, ratio))
            return True
        bound /= ratio
    return False


@dataclass(frozen=True)
class _Norm:
    # The value; how much larger that of the circle is; is there a circle that has the layer as a section?
    value: float
    slack: float
    on_circle: bool


def _norm(
    module: nn.Module, layer: _ConvNd, input_shape: tuple[int, ...], start: Tensor | None
) -> tuple[_Norm, Tensor | None]:
    measured = top_value(module, input_shape, start, tol=COARSE)
    proved = torus_norm(layer, input_shape)
    if proved is None:
        return _Norm(measured.value, 1.0, layer.padding_mode in ("zeros", "circular")), measured.right
    slack = proved / measured.value if measured.value > 0 else 1.0
    # Where many values are near the largest, it is missed by some thousandths, which the proof is not.
    if slack <= 1 + _TIGHT:
        return _Norm(proved, 1.0, True), measured.right
    return _Norm(measured.value, slack, True), measured.right
