"""The tasks that draw their own samples, beside classification: how each is prepared, trained and evaluated."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from onelip.experiments.gan import page as gan_page
from onelip.experiments.gan import preparation as gan_preparation
from onelip.experiments.gan import run as gan_run
from onelip.experiments.run_folder import RunFolder
from onelip.experiments.wasserstein import evaluation, page, preparation, training


@dataclass(frozen=True)
class SampledTask:
    """What `onelip train` does with a configuration of a task.

    Attributes:
        prepare: From a configuration to all that a training needs, checked, with nothing written; what it gives has the
            attribute `config`, which may have names of other runs as folders.
        train: Trains in a run's folder, or goes on after its last checkpoint; takes callbacks beside both.
        evaluate: Measures, writes `results.json`, pictures and the page, and says where they are.
        write_page: Writes the page again, from what a finished run has recorded.
    """

    prepare: Callable[[Any], Any]
    train: Callable[..., None]
    evaluate: Callable[[Any, RunFolder], None]
    write_page: Callable[[RunFolder], Path]


SAMPLED_TASKS: dict[str, SampledTask] = {
    "wasserstein": SampledTask(preparation.prepare, training.train, evaluation.evaluate, page.write_page),
    "gan": SampledTask(gan_preparation.prepare, gan_run.train, gan_run.evaluate, gan_page.write_page),
}
"""By the name that stands under the key `task`."""


def sampled_task(name: str) -> SampledTask:
    """Find a task.

    Args:
        name: A key of `onelip.experiments.config_kinds.CONFIGS` other than "classification".

    Returns:
        The task.
    """
    return SAMPLED_TASKS[name]
