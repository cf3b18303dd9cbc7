"""Generative adversarial networks: generators, what critics are trained for, and what came of it.

Images are pixels in [0, 1], of the data and of the generators alike, at the size that the data has: every distance is
the l2 distance of such images. Critics are models of `onelip.models` with one output.
"""

# Generators: each registers itself when it is imported.
from onelip.gan import generators

# What a trained pair is worth.
from onelip.gan.evaluation import (
    CriticGradients,
    HeldOutDifference,
    critic_constant,
    critic_gradients,
    held_out_difference,
)
from onelip.gan.frechet import PrincipalFeatures, frechet_distance_sq, frechet_of_samples_sq, principal_features

# Training a critic.
from onelip.gan.gradients import gradient_penalty, input_gradient_norms, interpolates

# Sampling.
from onelip.gan.latent import Latent
from onelip.gan.objectives import (
    ClippedObjective,
    CriticObjective,
    LipschitzObjective,
    PenaltyObjective,
    critic_difference,
)

# The registry: build by name, list, add.
from onelip.gan.registry import available_generators, build_generator, register_generator
from onelip.gan.sampler import GeneratorSampler, settle_batch_norm_

__all__ = [
    "ClippedObjective",
    "CriticGradients",
    "CriticObjective",
    "GeneratorSampler",
    "HeldOutDifference",
    "Latent",
    "LipschitzObjective",
    "PenaltyObjective",
    "PrincipalFeatures",
    "available_generators",
    "build_generator",
    "critic_constant",
    "critic_difference",
    "critic_gradients",
    "frechet_distance_sq",
    "frechet_of_samples_sq",
    "generators",
    "gradient_penalty",
    "held_out_difference",
    "input_gradient_norms",
    "interpolates",
    "principal_features",
    "register_generator",
    "settle_batch_norm_",
]
