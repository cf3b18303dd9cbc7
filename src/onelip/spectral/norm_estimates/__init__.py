"""Estimates of the norm of a layer: ours and the published ones, by name, each with what it claims."""

# Methods: each registers itself when it is imported.
from onelip.spectral.norm_estimates import araujo, gram, own, power_iteration, sedghi, singla
from onelip.spectral.norm_estimates.problem import NotApplicableError
from onelip.spectral.norm_estimates.registry import NormEstimate, NormMethod, norm_estimate, norm_estimates

__all__ = [
    "NormEstimate",
    "NormMethod",
    "NotApplicableError",
    "araujo",
    "gram",
    "norm_estimate",
    "norm_estimates",
    "own",
    "power_iteration",
    "sedghi",
    "singla",
]
