"""Singular values of any affine map, extracted and clipped."""

from onelip.spectral.affine_map import AffineMap, NotAffineError
from onelip.spectral.parts import Part, affine_parts
from onelip.spectral.singular_values import SingularValues, singular_values

__all__ = ["AffineMap", "NotAffineError", "Part", "SingularValues", "affine_parts", "singular_values"]
