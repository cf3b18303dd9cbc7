"""Singular values of any affine map, extracted and clipped."""

from onelip.spectral.affine_map import AffineMap, NotAffineError
from onelip.spectral.norm_estimates import NormEstimate, NormMethod, NotApplicableError, norm_estimate, norm_estimates
from onelip.spectral.parts import Part, affine_parts
from onelip.spectral.singular_values import SingularValues, singular_values

__all__ = [
    "AffineMap",
    "NormEstimate",
    "NormMethod",
    "NotAffineError",
    "NotApplicableError",
    "Part",
    "SingularValues",
    "affine_parts",
    "norm_estimate",
    "norm_estimates",
    "singular_values",
]
