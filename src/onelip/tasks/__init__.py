"""What is trained: one Lightning module for each task, usable with any Lightning trainer."""

from onelip.tasks.adversarial import PGDTraining
from onelip.tasks.callbacks import AfterStep, Retract
from onelip.tasks.classification import Classification
from onelip.tasks.clock import TrainingClock
from onelip.tasks.ema import WeightAverage
from onelip.tasks.finite import NonFiniteError, NonFiniteLossError
from onelip.tasks.gan import GAN
from onelip.tasks.growth import Growth
from onelip.tasks.jacobian_penalty import (
    JacobianPenalty,
    jacobian_frobenius_sq_estimate,
    jacobian_norm_estimate,
)
from onelip.tasks.objective import Objective
from onelip.tasks.optimizers import (
    OPTIMIZERS,
    ModelOptimizerFactory,
    OptimizerFactory,
    adam,
    adamw,
    aggmo,
    is_schedule_free,
    lookahead,
    make_optimizer,
    manifold_adam,
    muon,
    nadam,
    schedule_free_adamw,
    sgd,
)
from onelip.tasks.projection import OwnProjections, Projection
from onelip.tasks.relaxation_objective import RelaxationObjective
from onelip.tasks.schedules import SCHEDULES, Schedule, constant, cosine, exponential, one_cycle, step
from onelip.tasks.spectral_clip import SpectralClip
from onelip.tasks.step_numbers import StepNumbers
from onelip.tasks.trades import TRADES
from onelip.tasks.training_method_callback import TrainingMethodCallback
from onelip.tasks.validation_interval import ValidationInterval
from onelip.tasks.wasserstein import WassersteinCritic
from onelip.tasks.weight_projections import WeightProjection, project_weight
from onelip.tasks.whole_batch import ProcessesDifferError, WholeBatch

__all__ = [
    "GAN",
    "OPTIMIZERS",
    "SCHEDULES",
    "TRADES",
    "AfterStep",
    "Classification",
    "Growth",
    "JacobianPenalty",
    "ModelOptimizerFactory",
    "NonFiniteError",
    "NonFiniteLossError",
    "Objective",
    "OptimizerFactory",
    "OwnProjections",
    "PGDTraining",
    "ProcessesDifferError",
    "Projection",
    "RelaxationObjective",
    "Retract",
    "Schedule",
    "SpectralClip",
    "StepNumbers",
    "TrainingClock",
    "TrainingMethodCallback",
    "ValidationInterval",
    "WassersteinCritic",
    "WeightAverage",
    "WeightProjection",
    "WholeBatch",
    "adam",
    "adamw",
    "aggmo",
    "constant",
    "cosine",
    "exponential",
    "is_schedule_free",
    "jacobian_frobenius_sq_estimate",
    "jacobian_norm_estimate",
    "lookahead",
    "make_optimizer",
    "manifold_adam",
    "muon",
    "nadam",
    "one_cycle",
    "project_weight",
    "schedule_free_adamw",
    "sgd",
    "step",
]
