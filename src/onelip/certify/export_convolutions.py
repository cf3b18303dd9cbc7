"""What convolutions, dense functions and batch normalisation of torch compute, as operations of a frozen network."""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from onelip.bounds.convolution_rules import (
    CONVOLUTIONS,
    TRANSPOSED,
    call_pads,
    module_pads,
    stored_weight,
    transposed_options,
)
from onelip.bounds.network import NodeFacts
from onelip.bounds.registry import Call
from onelip.bounds.windows import per_axis
from onelip.certify.export_functions import register_function, tensors_of
from onelip.certify.export_modules import Operation, Shape, register_exporter


def _convolution(
    weight: Tensor,
    bias: Tensor | None,
    stride: Any,
    dilation: Any,
    groups: int,
    pads: tuple[tuple[int, int], ...],
    mode: str = "zeros",
) -> Operation:
    n_axes = weight.dim() - 2
    attributes = {
        "stride": list(per_axis(stride, n_axes)),
        "pads": [p for side in pads for p in side],
        "dilation": list(per_axis(dilation, n_axes)),
        "groups": groups,
        "padding_mode": mode,
    }
    return Operation(f"conv{n_axes}d", attributes, tensors_of({"weight": weight, "bias": bias}))


def _transposed(weight: Tensor, bias: Tensor | None, *options: Any) -> Operation:
    n_axes = weight.dim() - 2
    stride, padding, output_padding, groups, dilation = options
    attributes = {
        "stride": list(per_axis(stride, n_axes)),
        "padding": list(per_axis(padding, n_axes)),
        "output_padding": list(per_axis(output_padding, n_axes)),
        "dilation": list(per_axis(dilation, n_axes)),
        "groups": groups,
    }
    return Operation(f"conv_transpose{n_axes}d", attributes, tensors_of({"weight": weight, "bias": bias}))


def _conv_module(m: Any, before: Shape, after: Shape) -> Operation:
    return _convolution(m.weight, m.bias, m.stride, m.dilation, m.groups, module_pads(m), m.padding_mode)


def _transposed_module(m: Any, before: Shape, after: Shape) -> Operation:
    return _transposed(m.weight, m.bias, m.stride, m.padding, m.output_padding, m.groups, m.dilation)


def _conv_call(call: Call, facts: NodeFacts) -> Operation:
    weight, dilation = stored_weight(call), call.argument(5, "dilation", 1)
    pads = call_pads(weight, call.argument(4, "padding", 0), dilation)
    options = call.argument(3, "stride", 1), dilation, call.argument(6, "groups", 1)
    return _convolution(weight, call.argument(2, "bias"), *options, pads)


def _transposed_call(call: Call, facts: NodeFacts) -> Operation:
    return _transposed(stored_weight(call), call.argument(2, "bias"), *transposed_options(call))


def _linear_call(call: Call, facts: NodeFacts) -> Operation:
    return Operation("linear", {}, tensors_of({"weight": stored_weight(call), "bias": call.argument(2, "bias")}))


def _batch_norm_call(call: Call, facts: NodeFacts) -> Operation:
    roles = ("mean", "variance", "weight", "bias")
    names = ("running_mean", "running_var", "weight", "bias")
    tensors = {role: call.argument(i + 1, name) for i, (role, name) in enumerate(zip(roles, names, strict=True))}
    return Operation("batch_norm", {"eps": float(call.argument(7, "eps", 1e-5))}, tensors_of(tensors))


register_exporter(_conv_module, nn.Conv1d, nn.Conv2d, nn.Conv3d)
register_exporter(_transposed_module, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
register_function(_conv_call, *CONVOLUTIONS)
register_function(_transposed_call, *TRANSPOSED)
register_function(_linear_call, F.linear)
register_function(_batch_norm_call, F.batch_norm)
