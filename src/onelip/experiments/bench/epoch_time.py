"""How long an epoch of a configuration takes on this machine, from steps of its own training."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from onelip.experiments.bench.made_up import files_are_missing, made_up_images
from onelip.experiments.bench.stopwatch import Stopwatch
from onelip.experiments.config import ExperimentConfig
from onelip.experiments.config_common import RunConfig, SampledConfig
from onelip.experiments.config_trainer import Trainer
from onelip.experiments.config_wasserstein import GanSamples, WassersteinConfig
from onelip.experiments.determinism import determinism_kept
from onelip.experiments.errors import UserError, as_user_errors
from onelip.experiments.machine import describe_machine
from onelip.experiments.preparation import prepare
from onelip.experiments.process_plan import plan_processes
from onelip.experiments.run_folder import RunFolder
from onelip.experiments.sampled_tasks import sampled_task
from onelip.experiments.training import device_of, train

_LONG = 1000
"""How many times as many epochs the measured training would have as it takes: schedules stay at their beginning."""

_VALIDATED_BATCHES = 2
"""In the first one weights are built and the constant is proved, the others are like the second."""


@dataclass(frozen=True)
class EpochTime:
    """How long an epoch takes.

    Attributes:
        seconds_per_step: Of an optimiser's step with its batches: the median, or the mean where steps differ by design.
        steps_per_epoch: Steps of an epoch; of tasks that draw their samples, those up to a checkpoint.
        recording_seconds: Of what follows the steps of each epoch: rows and checkpoints.
        validation_seconds: Of a validation, from its first two batches.
        validate_every: In how many epochs there is one.
        machine: What it was measured on.
        made_up: Were images made up, as the files of the data set are not here?
    """

    seconds_per_step: float
    steps_per_epoch: int
    recording_seconds: float
    validation_seconds: float
    validate_every: int
    machine: str
    made_up: bool

    @property
    def seconds(self) -> float:
        """Mean seconds of an epoch, its share of the validations included."""
        steps = self.seconds_per_step * self.steps_per_epoch
        return steps + self.recording_seconds + self.validation_seconds / self.validate_every

    def epochs_within(self, seconds: float) -> int:
        """Count the whole epochs that fit into a time.

        Args:
            seconds: The time.

        Returns:
            At least 1.

        Raises:
            ValueError: One epoch takes longer.
        """
        epochs = int(seconds / self.seconds)
        if epochs < 1:
            own, given = (f"{value:.3g}" if value < 999.5 else f"{value:,.0f}" for value in (self.seconds, seconds))
            raise ValueError(f"one epoch takes {own} seconds, longer than the budget of {given}")
        return epochs


def measure_epoch(
    config: RunConfig, *, steps: int = 50, max_seconds: float = 30.0, warm_up: int = 5, made_up: bool = True
) -> EpochTime:
    """Take the first steps of a training, in a folder that is removed again, and measure them.

    They are those of `onelip train`: augmented batches, loss, step, retraction, what is validated and recorded, on the
    device and in the precision of the configuration, with the layers that join by `trainer.growth` there from the
    start. Threads and torch's random numbers are as before afterwards.

    Args:
        config: Of any task.
        steps: How many steps to measure.
        max_seconds: Time for all steps; two are taken in any case.
        warm_up: Steps before those that count.
        made_up: Take random images of the same shape and number for data that would have to be downloaded; else load
            it as a training does.

    Returns:
        The times.

    Raises:
        UserError: If the configuration does not work, or its data is neither here nor can be made up.
        TypeError: If it is of no task.
    """
    with as_user_errors():
        watch = Stopwatch(steps, max_seconds, warm_up)
    with _as_before(), tempfile.TemporaryDirectory(prefix="onelip-") as place:
        folder = RunFolder(Path(place))
        (folder.path / "checkpoints").mkdir()
        if isinstance(config, ExperimentConfig):
            return _of_classification(config, watch, folder, steps + warm_up, made_up=made_up)
        if isinstance(config, SampledConfig):
            return _of_samples(config, watch, folder)
    raise TypeError(f"{type(config).__name__} is the configuration of no task")


def _of_classification(
    config: ExperimentConfig, watch: Stopwatch, folder: RunFolder, n_steps: int, *, made_up: bool
) -> EpochTime:
    _check_alone(config.trainer)
    made_up = made_up and files_are_missing(config.data)
    experiment = prepare(config, images=made_up_images(config.data) if made_up else None)
    n_batches = -(-len(experiment.train) // config.data.batch_size)
    steps_per_epoch = -(-n_batches // config.trainer.accumulate)
    # Never reached; the validation comes when the watch has seen enough.
    n_epochs = _LONG * -(-n_steps // steps_per_epoch)
    long = {"max_epochs": n_epochs, "max_steps": None, "max_minutes": None, "validate_every": n_epochs}
    section = config.trainer.model_copy(update={**long, "growth": None})
    batch, n_images = config.data.eval_batch_size, len(experiment.validation)
    shown = experiment.validation.subset(slice(0, _VALIDATED_BATCHES * batch))
    train(
        replace(experiment, config=config.model_copy(update={"trainer": section}), validation=shown),
        folder,
        callbacks=[watch],
    )
    others = watch.validation[-1] * (n_images - len(shown)) / batch
    return EpochTime(
        seconds_per_step=watch.median,
        steps_per_epoch=steps_per_epoch,
        recording_seconds=watch.end,
        validation_seconds=sum(watch.validation) + others if n_images else 0.0,
        validate_every=config.trainer.validate_every,
        machine=describe_machine(torch.device(device_of(config.trainer.accelerator))),
        made_up=made_up,
    )


# What they measure at the end of each part is in what follows its steps.
def _of_samples(config: SampledConfig, watch: Stopwatch, folder: RunFolder) -> EpochTime:
    if isinstance(config, WassersteinConfig):
        for key, side in (("p", config.p), ("q", config.q)):
            if isinstance(side, GanSamples) and side.run is None:
                raise UserError(f"{key}.run is null, so that a GAN would be trained first; train it, and name its run")
    section = config.trainer
    n_in_epoch = min(section.validate_every, section.max_steps)
    long = section.model_copy(update={"max_steps": _LONG * n_in_epoch, "validate_every": n_in_epoch})
    kind = sampled_task(config.task)
    with as_user_errors():
        prepared = kind.prepare(config.model_copy(update={"trainer": long}))
    kind.train(prepared, folder, [watch])
    machine = describe_machine(torch.device(device_of(section.accelerator)))
    return EpochTime(watch.mean, n_in_epoch, watch.end, 0.0, 1, machine, made_up=False)


def _check_alone(section: Trainer) -> None:
    if section.num_nodes > 1 or plan_processes(section, {}).size > 1:
        raise UserError(
            f"trainer.devices={section.devices} and trainer.num_nodes={section.num_nodes} ask for several processes, "
            f"and epochs are measured in one; set both to 1"
        )


@contextmanager
def _as_before() -> Iterator[None]:
    threads = torch.get_num_threads()
    try:
        with (
            determinism_kept(),
            torch.random.fork_rng([torch.cuda.current_device()] if torch.cuda.is_available() else []),
        ):
            yield
    finally:
        torch.set_num_threads(threads)
