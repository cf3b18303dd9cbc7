"""What each activation computes, as an operation of a frozen network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from onelip import layers
from onelip.bounds.network import NodeFacts
from onelip.bounds.registry import Call
from onelip.certify.export_functions import FunctionExporter, register_function
from onelip.certify.export_modules import Exporter, Operation, Shape, register_exporter, sample_axis


def _relu(module: Any, before: Shape, after: Shape) -> Operation:
    return Operation("relu")


def _leaky_relu(module: Any, before: Shape, after: Shape) -> Operation:
    return Operation("leaky_relu", {"slope": float(module.negative_slope)})


def _prelu(module: Any, before: Shape, after: Shape) -> Operation:
    return Operation("prelu", {}, {"slope": module.weight})


SELU_SCALE, SELU_ALPHA = 1.0507009873554804934193349852946, 1.6732632423543772848170429916717


def _elu(alpha: float, width: float = 1.0, scale: float = 1.0) -> Operation:
    # scale x, or scale alpha (exp(x / width) - 1) below 0.
    return Operation("elu", {"alpha": float(alpha), "width": float(width), "scale": float(scale)})


def _selu() -> Operation:
    return _elu(SELU_ALPHA, 1.0, SELU_SCALE)


def _softplus(beta: float, threshold: float) -> Operation:
    return Operation("softplus", {"beta": float(beta), "threshold": float(threshold)})


def _gelu(approximate: str) -> Operation:
    return Operation("gelu" if approximate == "none" else "gelu_tanh")


def _clip(low: Any, high: Any) -> Operation:
    return Operation(
        "clip", {"low": None if low is None else float(low), "high": None if high is None else float(high)}
    )


def _soft_shrink(amount: float) -> Operation:
    return Operation("soft_shrink", {"amount": float(amount)})


def _softmax(op: str, dim: int, shape: Shape) -> Operation:
    return Operation(op, {"axis": sample_axis(dim, shape)})


def _softmin(dim: int, shape: Shape) -> Operation:
    softmax = Operation("softmax", {"axis": sample_axis(dim, shape)}, constant=0.5)
    return softmax.after(Operation("scale", {"factor": -1.0}, constant=1.0).after(0))


def _clip_call(low: tuple[int, str, Any] | None, high: tuple[int, str, Any] | None) -> FunctionExporter:
    def export(call: Call, facts: NodeFacts) -> Operation | None:
        limits = [None if a is None else call.argument(*a) for a in (low, high)]
        several = any(isinstance(limit, Tensor) and limit.numel() != 1 for limit in limits)
        return None if several else _clip(*limits)

    return export


def _of_call(build: Callable[..., Operation | None], *arguments: tuple[int, str, Any]) -> FunctionExporter:
    return lambda call, facts: build(*(call.argument(*a) for a in arguments))


def _prelu_call(call: Call, facts: NodeFacts) -> Operation:
    return Operation("prelu", {}, {"slope": call.argument(1, "weight")})


def _abs(module: Any, before: Shape, after: Shape) -> Operation:
    return Operation("abs")


def _beta_abs(module: Any, before: Shape, after: Shape) -> Operation:
    axis = sample_axis(module.dim, before)
    return Operation("beta_abs", {"axis": axis, "count": module.folded(before[axis])})


def _maxmin(module: Any, before: Shape, after: Shape) -> Operation:
    # A certificate is about real arithmetic, in which its form with ReLU is the same function.
    return Operation("maxmin", {"axis": sample_axis(module.dim, before)})


def _group_sort(module: Any, before: Shape, after: Shape) -> Operation:
    return Operation("group_sort", {"axis": sample_axis(module.dim, before), "group_size": module.group_size})


def _maxout(module: Any, before: Shape, after: Shape) -> Operation:
    return Operation("maxout", {"axis": sample_axis(module.dim, before), "group_size": module.group_size})


def _two_sided_relu(module: Any, before: Shape, after: Shape) -> Operation:
    # |max(x, 0)| and |min(x, 0)|: three operations that move entries or keep their size.
    padded = Operation("channel_pad", {"channels": 2 * before[0]}, constant=1.0).after(0)
    parts = Operation("maxmin", {"axis": 0}, constant=1.0).after(padded)
    return Operation("abs", constant=1.0).after(parts)


def _householder(module: Any, before: Shape, after: Shape) -> Operation:
    return Operation("householder", {"axis": sample_axis(module.dim, before)}, {"angle": module.angle})


def _householder2(module: Any, before: Shape, after: Shape) -> Operation:
    return Operation("householder2", {"axis": sample_axis(module.dim, before)}, {"angle": module.angle})


def _n_activation(module: Any, before: Shape, after: Shape) -> Operation:
    return Operation("n_activation", {"axis": sample_axis(module.dim, before)}, {"thresholds": module.thresholds})


def _soft_huber(module: Any, before: Shape, after: Shape) -> Operation:
    return Operation("soft_huber", {"delta": module.delta})


register_exporter(_relu, nn.ReLU)
register_exporter(_leaky_relu, nn.LeakyReLU)
register_exporter(_prelu, nn.PReLU)
register_exporter(_abs, layers.Abs)
register_exporter(_beta_abs, layers.BetaAbs)
register_exporter(_maxmin, layers.MaxMin, layers.MaxMinReLU)
register_exporter(_group_sort, layers.GroupSort)
register_exporter(_maxout, layers.Maxout)
register_exporter(_two_sided_relu, layers.TwoSidedReLU)
register_exporter(_householder, layers.HouseHolder)
register_exporter(_householder2, layers.HouseHolder2)
register_exporter(_n_activation, layers.NActivation)
register_exporter(_soft_huber, layers.SoftHuber)

_PLAIN: dict[str, tuple[tuple[type[nn.Module], ...], tuple[Any, ...]]] = {
    "sigmoid": ((nn.Sigmoid,), (torch.sigmoid, F.sigmoid, "sigmoid", "sigmoid_")),
    "tanh": ((nn.Tanh,), (torch.tanh, F.tanh, "tanh", "tanh_")),
    "silu": ((nn.SiLU,), (F.silu,)),
    "mish": ((nn.Mish,), (F.mish,)),
    "softsign": ((nn.Softsign,), (F.softsign,)),
    "log_sigmoid": ((nn.LogSigmoid,), (F.logsigmoid,)),
    "hard_sigmoid": ((nn.Hardsigmoid,), (F.hardsigmoid,)),
    "hard_swish": ((nn.Hardswish,), (F.hardswish,)),
    "tanh_shrink": ((nn.Tanhshrink,), (F.tanhshrink,)),
    "sin": ((), (torch.sin, "sin")),
    "cos": ((), (torch.cos, "cos")),
    "atan": ((), (torch.atan, torch.arctan, "atan", "arctan")),
    "relu": ((), (torch.relu, F.relu, "relu", torch.relu_, "relu_")),
    "abs": ((), (torch.abs, "abs", "abs_")),
}
"""Functions without options: modules, functions and methods by operation."""

_WITH_OPTIONS: dict[type[nn.Module], Callable[[Any], Operation]] = {
    nn.ReLU6: lambda m: _clip(0.0, 6.0),
    nn.Hardtanh: lambda m: _clip(m.min_val, m.max_val),
    nn.Threshold: lambda m: _clip(m.threshold, None),
    nn.ELU: lambda m: _elu(m.alpha),
    nn.CELU: lambda m: _elu(m.alpha, m.alpha),
    nn.SELU: lambda m: _selu(),
    nn.GELU: lambda m: _gelu(m.approximate),
    nn.Softplus: lambda m: _softplus(m.beta, m.threshold),
    nn.Softshrink: lambda m: _soft_shrink(m.lambd),
    nn.RReLU: lambda m: Operation("leaky_relu", {"slope": (m.lower + m.upper) / 2}),
}


def _plain_module(op: str) -> Exporter:
    return lambda m, before, after: Operation(op)


def _plain_call(op: str) -> FunctionExporter:
    return lambda call, facts: Operation(op)


def _module_with(build: Callable[[Any], Operation]) -> Exporter:
    return lambda m, before, after: build(m)


def _register() -> None:
    for op, (modules, functions) in _PLAIN.items():
        register_exporter(_plain_module(op), *modules)
        register_function(_plain_call(op), *functions)
    for kind, build in _WITH_OPTIONS.items():
        register_exporter(_module_with(build), kind)
    register_exporter(lambda m, before, after: _softmax("softmax", m.dim, before), nn.Softmax)
    register_exporter(lambda m, before, after: _softmax("softmax", -3, before), nn.Softmax2d)
    register_exporter(lambda m, before, after: _softmin(m.dim, before), nn.Softmin)
    register_exporter(lambda m, before, after: _softmax("log_softmax", m.dim, before), nn.LogSoftmax)


def _register_functions() -> None:
    register_function(
        _clip_call((1, "min", None), (2, "max", None)), torch.clamp, "clamp", "clamp_", torch.clip, "clip"
    )
    register_function(_clip_call((1, "min", None), None), torch.clamp_min, "clamp_min")
    register_function(_clip_call(None, (1, "max", None)), torch.clamp_max, "clamp_max")
    register_function(_of_call(lambda: _clip(0.0, 6.0)), F.relu6)
    register_function(_of_call(_clip, (1, "min_val", -1.0), (2, "max_val", 1.0)), F.hardtanh)
    register_function(_of_call(lambda t: _clip(t, None), (1, "threshold", None)), F.threshold)
    register_function(_of_call(_elu, (1, "alpha", 1.0)), F.elu)
    register_function(_of_call(lambda a: _elu(a, a), (1, "alpha", 1.0)), F.celu, torch.celu)
    register_function(_of_call(_selu), F.selu, torch.selu)
    register_function(_of_call(_gelu, (1, "approximate", "none")), F.gelu)
    register_function(_of_call(_softplus, (1, "beta", 1.0), (2, "threshold", 20.0)), F.softplus)
    register_function(_of_call(_soft_shrink, (1, "lambd", 0.5)), F.softshrink)
    leaky = _of_call(lambda s: Operation("leaky_relu", {"slope": float(s)}), (1, "negative_slope", 0.01))
    register_function(leaky, F.leaky_relu)
    register_function(_prelu_call, F.prelu, torch.prelu)
    softmaxes = (torch.softmax, F.softmax, "softmax")
    register_function(lambda c, f: _softmax("softmax", c.argument(1, "dim"), f.input_shape), *softmaxes)
    logarithms = (torch.log_softmax, F.log_softmax, "log_softmax")
    register_function(lambda c, f: _softmax("log_softmax", c.argument(1, "dim"), f.input_shape), *logarithms)
    register_function(lambda c, f: _softmin(c.argument(1, "dim"), f.input_shape), F.softmin)


_register()
_register_functions()
