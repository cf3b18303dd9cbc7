"""Wasserstein-1 distances that are true lower bounds, by critics whose Lipschitz constant is proved."""

# Distributions.
from onelip.transport.combined import Mixture, Translated

# Known distances.
from onelip.transport.discrete import DiscreteTransport, discrete_wasserstein1

# The bound.
from onelip.transport.estimate import WassersteinEstimate
from onelip.transport.evaluation import estimate_wasserstein1
from onelip.transport.exact import exact_wasserstein1
from onelip.transport.gaussian import Gaussian
from onelip.transport.point_masses import PointMasses, Samples
from onelip.transport.potentials import optimal_potential
from onelip.transport.problems import Problem, absolute_value, high_dimensional_cone, three_cones
from onelip.transport.sampler import HELD_OUT, TRAINING, Distribution, Sampler, sample_generator
from onelip.transport.shells import SphericalShells
from onelip.transport.start import center_biases_
from onelip.transport.training import dual_objective, train_critic, wasserstein1

__all__ = [
    "HELD_OUT",
    "TRAINING",
    "DiscreteTransport",
    "Distribution",
    "Gaussian",
    "Mixture",
    "PointMasses",
    "Problem",
    "Sampler",
    "Samples",
    "SphericalShells",
    "Translated",
    "WassersteinEstimate",
    "absolute_value",
    "center_biases_",
    "discrete_wasserstein1",
    "dual_objective",
    "estimate_wasserstein1",
    "exact_wasserstein1",
    "high_dimensional_cone",
    "optimal_potential",
    "sample_generator",
    "three_cones",
    "train_critic",
    "wasserstein1",
]
