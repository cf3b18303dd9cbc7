"""Singular values that need no iteration: batch normalisations, dense layers, convolutions whose windows are apart."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from onelip.layers.plain import evaluating
from onelip.spectral.parts import CONVOLUTIONS, NORMS, TRANSPOSED

WORK = 2e9
"""Limit of rows x columns x the lesser of both for a decomposition, about a second."""


def closed_form(module: nn.Module, input_shape: tuple[int, ...], k: int) -> Tensor | None:
    """Give the largest singular values of a layer whose stored numbers tell them.

    A batch normalisation in eval mode has |gamma_i| / sqrt(running_var_i + eps) once for each pixel; a dense layer the
    singular values of its weight once for each row of the input; a convolution without padding whose windows do not
    overlap, and its adjoint, those of its flattened kernel once for each window.

    Args:
        module: The layer, evaluated as in eval mode.
        input_shape: Shape of one input.
        k: How many.

    Returns:
        At most k values, float64, falling; those left out are 0. None if there is no closed form, the module has hooks,
        which could change what it computes, or a matrix is large.
    """
    if module._forward_hooks or module._forward_pre_hooks:
        return None
    with evaluating(module), torch.no_grad():
        return _values(module, input_shape, k)


# What attributes a layer has follows from its type, exactly: a subclass may compute something else.
def _values(layer: Any, input_shape: tuple[int, ...], k: int) -> Tensor | None:
    kind = parametrize.type_before_parametrizations(layer)
    if kind in NORMS:
        return _repeat(_norm_values(layer), math.prod(input_shape[1:]), k)
    if kind is nn.Linear:
        return _matrix_values(layer.weight[None], math.prod(input_shape[:-1]), k)
    if kind in (*CONVOLUTIONS, *TRANSPOSED) and _windows_are_apart(layer):
        kernel = layer.weight
        matrices = kernel.reshape(layer.groups, len(kernel) // layer.groups, -1)
        return _matrix_values(matrices, _n_windows(layer, input_shape), k)
    return None


def _repeat(values: Tensor, times: int, k: int) -> Tensor:
    falling = values.flatten().cpu().sort(descending=True).values
    return falling[:k].repeat_interleave(times)[:k]


def _norm_values(norm: Any) -> Tensor:
    scale = (norm.running_var.double() + norm.eps).rsqrt()
    return scale if norm.weight is None else scale * norm.weight.double().abs()


def _matrix_values(matrices: Tensor, times: int, k: int) -> Tensor | None:
    rows, columns = matrices.shape[1:]
    if matrices.numel() * min(rows, columns) > WORK:
        return None
    return _repeat(torch.linalg.svdvals(matrices.double()), times, k)


def _windows_are_apart(conv: Any) -> bool:
    padded = conv.padding != "valid" and any(p != 0 for p in conv.padding)
    return not padded and all(stride >= extent for stride, extent in zip(conv.stride, _extents(conv), strict=True))


def _extents(conv: Any) -> list[int]:
    return [d * (n - 1) + 1 for d, n in zip(conv.dilation, conv.kernel_size, strict=True)]


def _n_windows(conv: Any, input_shape: tuple[int, ...]) -> int:
    if isinstance(conv, TRANSPOSED):
        return math.prod(input_shape[1:])
    return math.prod((n - e) // s + 1 for n, e, s in zip(input_shape[1:], _extents(conv), conv.stride, strict=True))
