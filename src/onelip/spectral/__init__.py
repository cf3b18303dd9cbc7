"""Singular values of any affine map, extracted and clipped."""

from onelip.spectral.affine_map import AffineMap, NotAffineError
from onelip.spectral.clip_batch_norm import batch_norm_norm, clip_batch_norm_
from onelip.spectral.clipper import SpectralClipper
from onelip.spectral.parts import Part, affine_parts
from onelip.spectral.singular_values import SingularValues, singular_values
from onelip.spectral.training_method import TrainingMethod

__all__ = [
    "AffineMap",
    "NotAffineError",
    "Part",
    "SingularValues",
    "SpectralClipper",
    "TrainingMethod",
    "affine_parts",
    "batch_norm_norm",
    "clip_batch_norm_",
    "singular_values",
]
