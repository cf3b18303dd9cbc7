"""The run of a GAN that an estimate is about, trained first where there is none."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from onelip.experiments.config_file import load_any_config
from onelip.experiments.config_gan import GanConfig
from onelip.experiments.config_wasserstein import DataImages, DistributionSection, GanSamples
from onelip.experiments.console import say
from onelip.experiments.errors import UserError
from onelip.experiments.file_lock import locked
from onelip.experiments.gan.preparation import prepare
from onelip.experiments.gan.run import evaluate, train
from onelip.experiments.gan.saved import GENERATOR_FILE
from onelip.experiments.process_plan import ProcessPlan
from onelip.experiments.resumable import recall_failure, resumable
from onelip.experiments.run_folder import RunFolder, create_run_folder, runs_of


def with_run(section: DistributionSection, other: DistributionSection, runs_dir: str) -> DistributionSection:
    """Write the run of a GAN as a folder; train it first if there is none.

    Args:
        section: A distribution; what is no GAN, or has its run, stays as it is.
        other: The other one. If it has images of the same data set, the GAN learns from the same folder.
        runs_dir: Where runs are.

    Returns:
        The distribution.

    Raises:
        UserError: The configuration of the GAN is wrong, or of another task.
    """
    if not isinstance(section, GanSamples) or section.run is not None:
        return section
    changes = [*section.overrides, f"runs_dir={runs_dir}"]
    config = load_any_config(section.config, changes)
    if not isinstance(config, GanConfig):
        raise UserError(f"{section.config} has task={config.task}, and a distribution of name=gan needs task=gan")
    if isinstance(other, DataImages) and other.set == config.data.name and other.dir and config.data.dir is None:
        config = config.model_copy(update={"data": config.data.model_copy(update={"dir": other.dir})})
    folder = _finished_run(config) or _trained_once(config)
    say(f"samples of the GAN of run: {folder.path}")
    return section.model_copy(update={"run": str(folder.path)})


def _finished_run(config: GanConfig) -> RunFolder | None:
    return next(filter(_finished, _runs(config)), None)


def _finished(folder: RunFolder) -> bool:
    return (folder.path / GENERATOR_FILE).exists() and folder.results_file.exists()


# Those with this very configuration, the newest first: a GAN that was trained otherwise is another distribution.
def _runs(config: GanConfig) -> Iterator[RunFolder]:
    for folder in runs_of(config.name, config.runs_dir):
        with contextlib.suppress(UserError):
            found = folder.any_config()
            if isinstance(found, GanConfig) and _anywhere(found) == _anywhere(config):
                yield folder


# Without what says where it runs.
def _anywhere(config: GanConfig) -> GanConfig:
    trainer, data = config.trainer.model_copy(update={"threads": None}), config.data.model_copy(update={"dir": None})
    return config.model_copy(update={"runs_dir": "", "trainer": trainer, "data": data})


# Several processes need the same one at once, as the workers of a sweep do.
def _trained_once(config: GanConfig) -> RunFolder:
    say(f"there is no finished run of {config.name} with these settings yet; it is trained first, by one process")
    runs = Path(config.runs_dir) / config.name
    runs.parent.mkdir(parents=True, exist_ok=True)
    with locked(runs):
        return _finished_run(config) or _trained(config, next(_runs(config), None))


# In a run of its own, or the interrupted one, which goes on after its last checkpoint.
def _trained(config: GanConfig, interrupted: RunFolder | None) -> RunFolder:
    kept = config if interrupted is None else interrupted.any_config()
    experiment = prepare(kept if isinstance(kept, GanConfig) else config)
    folder = interrupted or create_run_folder(experiment.config)
    say(f"run folder: {folder.path}")
    recall_failure(folder)
    with resumable(folder, ProcessPlan()):
        train(experiment, folder)
        evaluate(experiment, folder)
    return folder
