"""Singular values of any affine map, extracted and clipped."""

from onelip.spectral.affine_map import AffineMap, NotAffineError
from onelip.spectral.layer_spectrum import LayerSpectrum
from onelip.spectral.parts import Part, affine_parts
from onelip.spectral.singular_values import SingularValues, singular_values
from onelip.spectral.spectrum import Spectrum, spectrum

__all__ = [
    "AffineMap",
    "LayerSpectrum",
    "NotAffineError",
    "Part",
    "SingularValues",
    "Spectrum",
    "affine_parts",
    "singular_values",
    "spectrum",
]
