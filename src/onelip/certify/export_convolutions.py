"""What convolutions, dense functions and batch normalisation of torch compute, as operations of a frozen network."""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from onelip.bounds.convolution_rules import (
    CONVOLUTIONS,
    TRANSPOSED,
    Convolution,
    TransposedConvolution,
    call_convolution,
    call_transposed,
    module_convolution,
    module_transposed,
    stored_weight,
)
from onelip.bounds.network import NodeFacts
from onelip.bounds.registry import Call
from onelip.certify.export_functions import register_function, tensors_of
from onelip.certify.export_modules import Operation, Shape, register_exporter


def _convolution(given: Convolution, bias: Tensor | None) -> Operation:
    attributes = {
        "stride": list(given.stride),
        "pads": [p for side in given.pads for p in side],
        "dilation": list(given.dilation),
        "groups": given.groups,
        "padding_mode": given.mode,
    }
    return Operation(f"conv{len(given.sizes)}d", attributes, tensors_of({"weight": given.weight, "bias": bias}))


def _transposed(given: TransposedConvolution, bias: Tensor | None) -> Operation:
    attributes = {
        "stride": list(given.stride),
        "padding": list(given.padding),
        "output_padding": list(given.output_padding),
        "dilation": list(given.dilation),
        "groups": given.groups,
    }
    tensors = tensors_of({"weight": given.weight, "bias": bias})
    return Operation(f"conv_transpose{len(given.sizes)}d", attributes, tensors)


def _conv_module(m: Any, before: Shape, after: Shape) -> Operation:
    return _convolution(module_convolution(m, before), m.bias)


def _transposed_module(m: Any, before: Shape, after: Shape) -> Operation:
    return _transposed(module_transposed(m, before), m.bias)


def _conv_call(call: Call, facts: NodeFacts) -> Operation:
    return _convolution(call_convolution(call), call.argument(2, "bias"))


def _transposed_call(call: Call, facts: NodeFacts) -> Operation:
    return _transposed(call_transposed(call), call.argument(2, "bias"))


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
