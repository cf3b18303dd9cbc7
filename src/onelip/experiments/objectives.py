"""From a configuration to what its training steps minimise."""

from __future__ import annotations

from onelip.experiments.config import ExperimentConfig
from onelip.experiments.config_adversarial import Adversarial
from onelip.tasks import TRADES, JacobianPenalty, Objective, PGDTraining
from onelip.tasks.objective import ordinary


def build_objective(config: ExperimentConfig) -> Objective | None:
    """Choose what a training minimises.

    Args:
        config: The configuration.

    Returns:
        The objective; None for the loss alone.
    """
    chosen = None if config.adversarial is None else _adversarial(config.adversarial, config.seed)
    if config.relaxation is not None:
        chosen = config.relaxation.objective()
    section = config.jacobian
    if section is None:
        return chosen
    return JacobianPenalty(
        section.kind,
        section.weight,
        iterations=section.iterations or 3,
        projections=section.projections or 1,
        base=chosen or ordinary,
        seed=config.seed,
    )


def _adversarial(section: Adversarial, seed: int) -> Objective:
    radius, norm, steps, size = section.radius, section.norm, section.steps, section.step_size
    if section.kind == "trades":
        return TRADES(radius, norm, steps, size, section.beta or 6.0, seed=seed)
    return PGDTraining(radius, norm, steps, size, section.random_start is not False, seed=seed)
