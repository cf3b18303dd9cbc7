"""The training of a critic in a run's folder."""

from __future__ import annotations

from collections.abc import Sequence

import lightning.pytorch as pl
from torch import nn

from onelip.experiments.run_folder import RunFolder
from onelip.experiments.step_training import train_on_samples
from onelip.experiments.training import optimizer_factory
from onelip.experiments.wasserstein.preparation import Prepared
from onelip.tasks import SCHEDULES, WassersteinCritic
from onelip.transport import estimate_wasserstein1

COLUMNS = ("train_difference", "lower_bound", "standard_error", "constant", "learning_rate")

_MONITOR_SEED = 1
"""Added to the run's: what is watched in the training is not what is measured in the end."""


def train(prepared: Prepared, folder: RunFolder, callbacks: Sequence[pl.Callback] = ()) -> None:
    """Train the critic, or go on after the folder's last checkpoint.

    Args:
        prepared: Critic and distributions.
        folder: Where metrics and checkpoints go.
        callbacks: More of them.

    Raises:
        StoppedError: If a signal stopped it.
        NonFiniteError: If a number became NaN or infinite.
    """
    config = prepared.config
    schedule = SCHEDULES[config.schedule.name](**config.schedule.model_dump(exclude={"name"}))
    task = WassersteinCritic(
        prepared.critic,
        prepared.p.training,
        prepared.q.training,
        optimizer=optimizer_factory(config.optimizer),
        schedule=schedule,
        batch_size=config.batch_size,
        n_steps=config.trainer.max_steps,
        seed=config.seed,
        measure=lambda critic: _measure(critic, prepared),
    )
    train_on_samples(task, config, folder, columns=COLUMNS, callbacks=callbacks)


# On samples as the critic learns from: those that it is measured on in the end play no part in the training.
def _measure(critic: nn.Module, prepared: Prepared) -> dict[str, float]:
    options = prepared.config.evaluation
    estimate = estimate_wasserstein1(
        critic,
        prepared.p.training,
        prepared.q.training,
        n_samples=options.n_monitor,
        batch_size=options.batch_size,
        seed=prepared.config.seed + _MONITOR_SEED,
    )
    return {
        "lower_bound": estimate.lower_bound,
        "standard_error": estimate.standard_error,
        "constant": estimate.constant.value,
    }
