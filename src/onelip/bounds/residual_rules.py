"""Constants of this library's skip connections, with branches of any bounded modules."""

from __future__ import annotations

from onelip.bounds.network import lipschitz_bound
from onelip.bounds.registry import Refused, register_bound, register_modules
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
    return module.bound_from(lipschitz_bound(module.fn, shape).bound)


def _convex_residual(module: ConvexResidual, input_shape: tuple[int, ...]) -> Bound:
    return module.bound_from([lipschitz_bound(branch, input_shape).bound for branch in module.branches])


register_bound(ConvexResidual, _convex_residual)
register_modules(_residual, AdditiveResidual, ConcatResidual, L2NormResidual, PrescaledResidual)
