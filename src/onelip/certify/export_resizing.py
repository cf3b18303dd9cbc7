"""What torch's resizing computes, as operations of a frozen network: copies, or one stored matrix along each axis."""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import nn

from onelip.bounds.network import NodeFacts
from onelip.bounds.registry import Call
from onelip.bounds.resize_rules import Resize, nearest_places, resize_matrices, resize_of_call, resize_of_module
from onelip.certify.export_arithmetic import matrices
from onelip.certify.export_copies import gather
from onelip.certify.export_functions import register_function
from onelip.certify.export_modules import Operation, Shape, register_exporter


def resize_operation(resize: Resize, before: Shape) -> Operation:
    """Describe resizing.

    Args:
        resize: The arguments of `F.interpolate`.
        before: Shape of one input sample.

    Returns:
        The operation.
    """
    sizes = before[1:]
    if resize.mode in ("nearest", "nearest-exact"):
        return gather(dict(enumerate(nearest_places(resize, sizes), 1)))
    return matrices(dict(enumerate(resize_matrices(resize, sizes), 1)))


def _module(m: Any, before: Shape, after: Shape) -> Operation:
    return resize_operation(resize_of_module(m), before)


def _call(call: Call, facts: NodeFacts) -> Operation:
    return resize_operation(resize_of_call(call), facts.input_shape)


register_exporter(_module, nn.Upsample, nn.UpsamplingNearest2d, nn.UpsamplingBilinear2d)
register_function(_call, F.interpolate)
