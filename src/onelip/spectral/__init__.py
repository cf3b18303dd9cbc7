"""Singular values of any affine map, extracted and clipped."""

from onelip.spectral.affine_map import AffineMap, NotAffineError
from onelip.spectral.clip_batch_norm import batch_norm_norm, clip_batch_norm_
from onelip.spectral.parts import Part, affine_parts
from onelip.spectral.singular_values import SingularValues, singular_values
from onelip.spectral.training_method import TrainingMethod
from onelip.spectral.training_methods import available, training_method

__all__ = [
    "AffineMap",
    "NotAffineError",
    "Part",
    "SingularValues",
    "TrainingMethod",
    "affine_parts",
    "available",
    "batch_norm_norm",
    "clip_batch_norm_",
    "singular_values",
    "training_method",
]
