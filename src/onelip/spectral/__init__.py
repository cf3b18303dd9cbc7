"""Singular values of any affine map, extracted and clipped."""

from onelip.spectral.affine_map import AffineMap, NotAffineError
from onelip.spectral.parts import Part, affine_parts
from onelip.spectral.power_qr import power_qr
from onelip.spectral.singular_values import SingularValues, singular_values

__all__ = ["AffineMap", "NotAffineError", "Part", "SingularValues", "affine_parts", "power_qr", "singular_values"]
