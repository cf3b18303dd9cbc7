"""What is trained: one Lightning module for each task, usable with any Lightning trainer."""

from onelip.tasks.callbacks import AfterStep, Retract
from onelip.tasks.classification import Classification
from onelip.tasks.clock import TrainingClock
from onelip.tasks.ema import WeightAverage
from onelip.tasks.finite import NonFiniteError, NonFiniteLossError
from onelip.tasks.growth import Growth
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
from onelip.tasks.relaxation_objective import RelaxationObjective
from onelip.tasks.schedules import SCHEDULES, Schedule, constant, cosine, one_cycle, step
from onelip.tasks.spectral_clip import SpectralClip
from onelip.tasks.training_method_callback import TrainingMethodCallback
from onelip.tasks.validation_interval import ValidationInterval

__all__ = [
    "OPTIMIZERS",
    "SCHEDULES",
    "AfterStep",
    "Classification",
    "Growth",
    "ModelOptimizerFactory",
    "NonFiniteError",
    "NonFiniteLossError",
    "OptimizerFactory",
    "RelaxationObjective",
    "Retract",
    "Schedule",
    "SpectralClip",
    "TrainingClock",
    "TrainingMethodCallback",
    "ValidationInterval",
    "WeightAverage",
    "adam",
    "adamw",
    "aggmo",
    "constant",
    "cosine",
    "is_schedule_free",
    "lookahead",
    "make_optimizer",
    "manifold_adam",
    "muon",
    "nadam",
    "one_cycle",
    "schedule_free_adamw",
    "sgd",
    "step",
]
