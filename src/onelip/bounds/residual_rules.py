"""Constants of this library's skip connections, with branches of any bounded modules."""

from __future__ import annotations

from onelip.bounds.network import analyse
from onelip.bounds.registry import Refused, register_bound, register_modules
from onelip.bounds.tracing import trace
from onelip.layers import (
    AdditiveResidual,
    ConcatResidual,
    ConvexResidual,
    L2NormResidual,
    PrescaledResidual,
    Residual,
)
from onelip.linalg import Bound


def _residual(module: Residual, input_shape: tuple[int, ...]) -> Bound:
    shape = module.branch_shape(input_shape)
    if shape is None:
        raise Refused("the shape of its branch's input is not known")
    return module.bound_from(analyse(trace(module.fn), shape).total.bound)


def _convex_residual(module: ConvexResidual, input_shape: tuple[int, ...]) -> Bound:
    return module.bound_from([analyse(trace(branch), input_shape).total.bound for branch in module.branches])


register_bound(ConvexResidual, _convex_residual)
register_modules(_residual, AdditiveResidual, ConcatResidual, L2NormResidual, PrescaledResidual)
