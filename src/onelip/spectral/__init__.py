"""Singular values of any affine map, extracted and clipped."""

from onelip.spectral.affine_map import AffineMap, NotAffineError
from onelip.spectral.clip import CLIP_METHODS, CannotClipError, Clipped, ClippedPart, clip_
from onelip.spectral.clip_batch_norm import batch_norm_norm, clip_batch_norm_
from onelip.spectral.clipper import SpectralClipper
from onelip.spectral.delattre import gram_bound
from onelip.spectral.gouk import scale_
from onelip.spectral.layer_spectrum import LayerSpectrum
from onelip.spectral.miyato import bake_
from onelip.spectral.norm_estimates import NormEstimate, NormMethod, NotApplicableError, norm_estimate, norm_estimates
from onelip.spectral.parts import Part, affine_parts
from onelip.spectral.power_qr import power_qr
from onelip.spectral.senderovich import fft_, senderovich_
from onelip.spectral.singular_values import SingularValues, singular_values
from onelip.spectral.spectrum import Spectrum, spectrum
from onelip.spectral.tensor_train import TTConv2d
from onelip.spectral.training_method import TrainingMethod
from onelip.spectral.training_methods import available, training_method

__all__ = [
    "CLIP_METHODS",
    "AffineMap",
    "CannotClipError",
    "Clipped",
    "ClippedPart",
    "LayerSpectrum",
    "NormEstimate",
    "NormMethod",
    "NotAffineError",
    "NotApplicableError",
    "Part",
    "SingularValues",
    "SpectralClipper",
    "Spectrum",
    "TTConv2d",
    "TrainingMethod",
    "affine_parts",
    "available",
    "bake_",
    "batch_norm_norm",
    "clip_",
    "clip_batch_norm_",
    "fft_",
    "gram_bound",
    "norm_estimate",
    "norm_estimates",
    "power_qr",
    "scale_",
    "senderovich_",
    "singular_values",
    "spectrum",
    "training_method",
]
