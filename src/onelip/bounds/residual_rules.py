"""Constants of this library's skip connections, with branches of any bounded modules."""

from __future__ import annotations

from functools import partial

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


def _residual(module: Residual, input_shape: tuple[int, ...], size_free: bool = False) -> Bound:
    shape = module.branch_shape(input_shape)
    if shape is None:
        raise Refused("the shape of its branch's input is not known")
    return module.bound_from(analyse(trace(module.fn), shape, size_free=size_free).total.bound)


def _convex_residual(module: ConvexResidual, input_shape: tuple[int, ...], size_free: bool = False) -> Bound:
    analyses = [analyse(trace(branch), input_shape, size_free=size_free) for branch in module.branches]
    return module.bound_from([analysis.total.bound for analysis in analyses])


register_bound(ConvexResidual, _convex_residual, size_free=partial(_convex_residual, size_free=True))
register_modules(
    _residual,
    AdditiveResidual,
    ConcatResidual,
    L2NormResidual,
    PrescaledResidual,
    size_free=partial(_residual, size_free=True),
)
