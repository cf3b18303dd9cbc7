"""What each dense module does to a change of its input: matrices, factors and slopes, for ellipsoids to go through."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from onelip import layers
from onelip.bounds.activation_rules import GELU, HARD_SIGMOID, SELU, SIGMOID, SILU, TANH_GELU
from onelip.linalg.dense_chain import Factors, Keep, Link, Matrix, Slopes

Shape = tuple[int, ...]
Variants = tuple[list[Link], ...]
"""Descriptions of one module; each of them is true. The first is the one whose closed form is never worse than the
product."""


def dense_links(module: nn.Module, before: Shape) -> Variants | None:
    """Describe a module whose input and output count as vectors.

    Args:
        module: A module as it behaves in eval mode.
        before: Shape of one input sample.

    Returns:
        One or two chains that each say what it does to a change; None if there is no such description.
    """
    for kind in type(module).__mro__:
        if kind in _MODULES:
            return _MODULES[kind](module, before) if type(module).forward is kind.forward else None
    return None


def function_links(target: Any, before: Shape) -> Variants | None:
    """Describe a function or tensor method of one signal and of numbers that do not matter.

    Args:
        target: The function, or the method's name.
        before: Shape of one input sample.

    Returns:
        As `dense_links`.
    """
    try:
        return _FUNCTIONS[target](None, before) if target in _FUNCTIONS else None
    except TypeError:  # an unhashable callable
        return None


Rule = Callable[[Any, Shape], Variants | None]


def interval(low: Tensor, high: Tensor) -> Slopes:
    """Describe an activation of single entries by the least and the largest slope of each.

    Args:
        low: `(n,)` float64.
        high: `(n,)`, at least `low`.

    Returns:
        The slopes as a middle and a spread that covers its own rounding.
    """
    middle = (low + high) / 2
    # Four roundings at most, each relative to a number that is no larger than the sum here.
    spread = (high - middle).clamp_min(0.0) + (low.abs() + high.abs()) * 2.0**-50
    return Slopes(middle, torch.where(low == high, 0.0, spread), torch.arange(len(low)))


def _numbers(n: int, value: float) -> Tensor:
    return torch.full((n,), value, dtype=torch.float64)


def _between(low: float, high: float) -> Rule:
    def rule(_: Any, before: Shape) -> Variants:
        n = math.prod(before)
        return ([interval(_numbers(n, low), _numbers(n, high))],)

    return rule


def _nothing(_: Any, before: Shape) -> Variants:
    return ([],)


def _linear(module: Any, before: Shape) -> Variants | None:
    weight = module.weight.detach().to("cpu", torch.float64)
    # On more axes it is applied to every row.
    return ([Matrix(weight)],) if len(before) == 1 and bool(torch.isfinite(weight).all()) else None


def _scale(module: Any, before: Shape) -> Variants:
    return ([Factors(_numbers(math.prod(before), module.factor), 0)],)


def _batch_norm(module: Any, before: Shape) -> Variants | None:
    if module.running_var is None or len(before) != 1:
        return None
    variance = module.running_var.detach().to("cpu", torch.float64)
    weight = torch.ones_like(variance) if module.weight is None else module.weight.detach().to("cpu", torch.float64)
    factors = weight / (variance + module.eps).sqrt()
    # Rounded in the sum, the root and the quotient.
    return ([Factors(factors, 4)],) if bool(torch.isfinite(factors).all() and (variance >= 0).all()) else None


def _keep(module: Any, before: Shape) -> Variants | None:
    return ([Keep(0, module.out_channels)],) if len(before) == 1 and module.out_channels <= before[0] else None


def _leaky(slope: float, before: Shape) -> Variants | None:
    return _between(min(1.0, slope), max(1.0, slope))(None, before)


def _prelu(module: Any, before: Shape) -> Variants | None:
    slope = module.weight.detach().to("cpu", torch.float64)
    n = math.prod(before)
    slope = slope.expand(n) if len(slope) == 1 else slope.repeat_interleave(n // len(slope))
    if len(slope) != n or not bool(torch.isfinite(slope).all()):
        return None
    return ([interval(slope.clamp_max(1.0), slope.clamp_min(1.0))],)


def _elu(module: Any, before: Shape) -> Variants | None:
    alpha = float(module.alpha)
    return _between(0.0, max(1.0, alpha))(None, before) if 0 <= alpha < math.inf else None


def _celu(module: Any, before: Shape) -> Variants | None:
    return _between(0.0, 1.0)(None, before) if module.alpha > 0 else None


def _gelu(module: Any, before: Shape) -> Variants | None:
    # The slopes at x and -x add up to 1.
    top = GELU if module.approximate == "none" else TANH_GELU
    return _between(1 - top, top)(None, before)


def _is_vector(module: Any, before: Shape) -> bool:
    # Does the activation go along the one axis that has more than one entry?
    return len(before) > 0 and before[module.dim % (len(before) + 1) - 1] == math.prod(before)


def _beta_abs(module: Any, before: Shape) -> Variants | None:
    if not _is_vector(module, before):
        return None
    n = math.prod(before)
    low = _numbers(n, 1.0)
    low[: module.folded(n)] = -1.0
    return ([interval(low, _numbers(n, 1.0))],)


def _isometric(groups: Tensor) -> Slopes:
    # No slopes, but no group gets longer.
    return Slopes(_numbers(len(groups), 0.0), _numbers(len(groups), 1.0), groups)


def _pairs(n: int) -> Tensor:
    # i and i + half together, an odd last entry alone.
    half = n // 2
    entries = torch.arange(n)
    return torch.where(entries < half, entries, entries - half)


def _maxmin(module: Any, before: Shape) -> Variants | None:
    if not _is_vector(module, before):
        return None
    n = math.prod(before)
    half = n // 2
    sums = torch.eye(n, dtype=torch.float64)
    index = torch.arange(half)
    sums[index, index + half], sums[index + half, index], sums[index + half, index + half] = 1.0, 1.0, -1.0
    entries = torch.arange(n)
    return [_isometric(_pairs(n))], _sorted_sums(sums, entries, (entries >= half) & (entries < 2 * half))


def _sorted_sums(sums: Tensor, groups: Tensor, contrasts: Tensor) -> list[Link]:
    # Sorting a group keeps its sum, and does not lengthen what is orthogonal to that. The rows of `sums` S are
    # orthogonal, with squared lengths that are powers of two, so that S^T / |rows|^2 is its exact inverse.
    spread = contrasts.to(torch.float64)
    back = sums.T / sums.square().sum(1)
    return [Matrix(sums), Slopes(1.0 - spread, spread, groups), Matrix(back)]


def _group_sort(module: Any, before: Shape) -> Variants | None:
    size, n = module.group_size, math.prod(before)
    if not _is_vector(module, before) or n % size:
        return None
    plain: list[Link] = [_isometric(torch.arange(n) // size)]
    if size & (size - 1) or size < 2:
        return (plain,)
    hadamard = torch.ones(1, 1, dtype=torch.float64)
    while len(hadamard) < size:
        hadamard = torch.cat([torch.cat([hadamard, hadamard], 1), torch.cat([hadamard, -hadamard], 1)])
    sums = torch.block_diag(*[hadamard] * (n // size))
    index = torch.arange(n)
    first = index % size == 0
    # The sums get groups of their own.
    groups = torch.where(first, index // size, n // size + index // size)
    return plain, _sorted_sums(sums, groups, ~first)


def _halves(module: Any, before: Shape) -> Variants | None:
    n = math.prod(before)
    return ([_isometric(_pairs(n))],) if _is_vector(module, before) and n % 2 == 0 else None


_UNIT, _ODD = _between(0.0, 1.0), _between(-1.0, 1.0)

_MODULES: dict[type[nn.Module], Rule] = (
    dict.fromkeys((nn.ReLU, nn.ReLU6, nn.Hardtanh, nn.Tanh, nn.Tanhshrink, nn.Softsign, nn.LogSigmoid), _UNIT)
    | dict.fromkeys((nn.Identity, nn.Dropout, nn.AlphaDropout, nn.Flatten, nn.Unflatten), _nothing)
    | dict.fromkeys((layers.Abs, layers.NActivation, layers.SoftHuber), _ODD)
    | dict.fromkeys((layers.MaxMin, layers.MaxMinReLU), _maxmin)
    | dict.fromkeys((layers.HouseHolder, layers.HouseHolder2), _halves)
    | {
        nn.BatchNorm1d: _batch_norm,
        nn.CELU: _celu,
        nn.ELU: _elu,
        nn.GELU: _gelu,
        nn.Hardsigmoid: _between(0.0, HARD_SIGMOID),
        nn.LeakyReLU: lambda module, before: _leaky(float(module.negative_slope), before),
        nn.Linear: _linear,
        nn.PReLU: _prelu,
        nn.SELU: _between(0.0, SELU),
        nn.SiLU: _between(1 - SILU, SILU),
        nn.Sigmoid: _between(0.0, SIGMOID),
        layers.BetaAbs: _beta_abs,
        layers.ChannelKeep: _keep,
        layers.GroupSort: _group_sort,
        layers.Scale: _scale,
    }
)

_FUNCTIONS: dict[Any, Rule] = (
    dict.fromkeys((torch.relu, F.relu, "relu", torch.tanh, F.tanh, "tanh"), _UNIT)
    | dict.fromkeys((torch.sigmoid, F.sigmoid, "sigmoid"), _between(0.0, SIGMOID))
    | dict.fromkeys((torch.abs, "abs"), _ODD)
    | dict.fromkeys(("flatten", "reshape", "view", "contiguous", torch.flatten, torch.reshape), _nothing)
)
