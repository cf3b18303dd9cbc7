"""What is trained: one Lightning module for each task, usable with any Lightning trainer."""

from onelip.tasks.callbacks import Retract
from onelip.tasks.classification import Classification, NonFiniteLossError
from onelip.tasks.optimizers import (
    OPTIMIZERS,
    OptimizerFactory,
    adam,
    adamw,
    is_schedule_free,
    schedule_free_adamw,
    sgd,
)
from onelip.tasks.schedules import SCHEDULES, Schedule, constant, cosine, one_cycle, step
from onelip.tasks.training_method_callback import TrainingMethodCallback

__all__ = [
    "OPTIMIZERS",
    "SCHEDULES",
    "Classification",
    "NonFiniteLossError",
    "OptimizerFactory",
    "Retract",
    "Schedule",
    "TrainingMethodCallback",
    "adam",
    "adamw",
    "constant",
    "cosine",
    "is_schedule_free",
    "one_cycle",
    "schedule_free_adamw",
    "sgd",
    "step",
]
