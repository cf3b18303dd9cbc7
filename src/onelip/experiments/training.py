"""From an experiment to trained weights in a run folder."""

from __future__ import annotations

import logging
import signal
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import Checkpoint
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities.exceptions import SIGTERMException
from torch import Tensor

from onelip import data
from onelip.experiments.checkpoints import read_checkpoint
from onelip.experiments.config_optimizer import Optimizer as OptimizerChoice
from onelip.experiments.config_trainer import Trainer as TrainerSection
from onelip.experiments.determinism import determinism_kept
from onelip.experiments.interruption import Interruption
from onelip.experiments.lightning_processes import trainer_options
from onelip.experiments.norm_checks import NormChecks
from onelip.experiments.objectives import build_objective
from onelip.experiments.preparation import Experiment
from onelip.experiments.process_plan import ProcessPlan
from onelip.experiments.recorder import Recorder
from onelip.experiments.run_folder import RunFolder
from onelip.experiments.subset import keep_indices
from onelip.experiments.training_progress import TrainingProgress
from onelip.tasks import (
    OPTIMIZERS,
    SCHEDULES,
    Classification,
    Growth,
    OptimizerFactory,
    OwnProjections,
    Retract,
    TrainingClock,
    TrainingMethodCallback,
    ValidationInterval,
    WeightAverage,
    WholeBatch,
    lookahead,
)

PRECISIONS: dict[int | str, Any] = {32: "32-true", 64: "64-true", "bf16-mixed": "bf16-mixed"}
"""What Lightning calls those of a configuration."""


class StoppedError(Exception):
    """A signal stopped the training; `number` is the signal's."""

    def __init__(self, number: int) -> None:
        super().__init__(f"stopped by signal {number}")
        self.number = number


def train(
    experiment: Experiment,
    folder: RunFolder,
    *,
    resume: bool = False,
    processes: ProcessPlan | None = None,
    callbacks: Sequence[pl.Callback] = (),
) -> None:
    """Train, leaving metrics and checkpoints in a run folder.

    Args:
        experiment: What to train.
        folder: Where.
        resume: Continue after the last checkpoint in the folder, if there is one.
        processes: The place of this process among those that train together, which all call this; None for one alone.
        callbacks: More of them, called before those of the training; those that are checkpoints after an epoch is
            recorded.

    Raises:
        StoppedError: If a signal stopped it; the folder can be resumed.
        NonFiniteError: If the loss, a gradient or a parameter became NaN or infinite.
    """
    config = experiment.config
    plan = processes or ProcessPlan(device=device_of(config.trainer.accelerator))
    if plan.first:
        keep_indices(experiment.chosen, folder)
    clock = TrainingClock(config.trainer.max_minutes)
    checkpoint = folder.last_checkpoint if resume and folder.last_checkpoint.exists() else None
    step = 0
    if checkpoint is not None:
        saved = read_checkpoint(checkpoint)
        step = saved["global_step"]
        # Runs of earlier versions have no clock.
        clock.load_state_dict(saved["callbacks"].get(clock.state_key, clock.state_dict()))
    if clock.progress == 1.0:
        return
    task = _task(experiment, clock)
    loaders = _loaders(experiment, plan)
    torch.manual_seed(config.seed)
    with quiet_lightning(), determinism_kept():
        interruption = Interruption()
        # The ones given may stop a training, which some of the others ask for; what looks at an epoch when it is
        # recorded, which is the last of the others, comes after it.
        after = [callback for callback in callbacks if isinstance(callback, Checkpoint)]
        before = [callback for callback in callbacks if callback not in after]
        every = [interruption, *before, *_callbacks(experiment, folder, clock), *after]
        trainer = _trainer(experiment, folder, len(loaders[0]), step, every, plan)
        with signals_as_errors(), interruption.listening():
            trainer.fit(task, *loaders, ckpt_path=None if checkpoint is None else str(checkpoint), weights_only=True)


def _task(experiment: Experiment, clock: TrainingClock) -> Classification:
    config = experiment.config
    return Classification(
        experiment.model,
        experiment.loss,
        optimizer=optimizer_factory(config.optimizer),
        schedule=SCHEDULES[config.schedule.name](**config.schedule.model_dump(exclude={"name"})),
        radius=None if config.certify is None else config.certify.selection_radius,
        norm="l2" if config.certify is None else config.certify.norm,
        compile=config.trainer.compile,
        penalty=None if experiment.method is None else experiment.method.penalty,
        clock=clock,
        mirror_average=config.certify is not None and config.certify.mirror_average,
        channels_last=config.trainer.channels_last,
        objective=build_objective(config),
    )


def optimizer_factory(section: OptimizerChoice) -> OptimizerFactory:
    """Choose the optimiser that a configuration asks for.

    Args:
        section: The configuration's.

    Returns:
        What makes it, wrapped in Lookahead where that is asked for.
    """
    options = section.model_dump(exclude={"name"})
    wrapper = options.pop("lookahead", None)
    factory = OPTIMIZERS[section.name](**options)
    return factory if wrapper is None else lookahead(factory, **wrapper)


def _loaders(
    experiment: Experiment, plan: ProcessPlan
) -> tuple[data.BatchSequence, data.BatchSequence | _NothingHeldOut]:
    section, device, share = experiment.config.data, plan.device, data.Share(plan.rank, plan.size)
    return (
        data.batches_of(
            experiment.train,
            section.batch_size,
            shuffle=True,
            augment=section.augment.build(),
            seed=experiment.config.seed,
            device=device,
            generated=experiment.generated,
            share=share,
        ),
        data.batches_of(experiment.validation, section.eval_batch_size, shuffle=False, device=device, share=share)
        if len(experiment.validation)
        else _NothingHeldOut(experiment.data.input_shape),
    )


class _NothingHeldOut:
    """One batch of no images, after which Lightning keeps weights as after any other validation."""

    def __init__(self, input_shape: tuple[int, ...]) -> None:
        self._batch = torch.zeros(0, *input_shape), torch.zeros(0, dtype=torch.long)

    def __len__(self) -> int:
        return 1

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        yield self._batch


def device_of(accelerator: str) -> str:
    """Choose the device of a training in one process.

    Args:
        accelerator: As in the configuration.

    Returns:
        "cpu", "cuda" or "mps".
    """
    if accelerator == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return {"gpu": "cuda"}.get(accelerator, accelerator)


def _trainer(
    experiment: Experiment,
    folder: RunFolder,
    n_batches: int,
    step: int,
    callbacks: list[pl.Callback],
    plan: ProcessPlan,
) -> pl.Trainer:
    config = experiment.config
    n_epochs, n_batches = shortened(config.trainer, n_batches)
    n_steps = -(-n_batches // config.trainer.accumulate)
    logger = TensorBoardLogger(save_dir=folder.tensorboard, name="", version="", purge_step=step or None)
    return pl.Trainer(
        max_epochs=n_epochs,
        limit_train_batches=n_batches,
        accumulate_grad_batches=config.trainer.accumulate,
        **trainer_options(config.trainer, plan),
        precision=PRECISIONS[config.trainer.precision],
        gradient_clip_val=config.trainer.gradient_clip,
        log_every_n_steps=min(config.trainer.log_every, n_steps),
        deterministic=True if plan.device == "cpu" else "warn",
        callbacks=callbacks,
        logger=logger,
        default_root_dir=folder.path,
        num_sanity_val_steps=0,
        enable_progress_bar=False,
        enable_model_summary=False,
    )


def _callbacks(experiment: Experiment, folder: RunFolder, clock: TrainingClock) -> list[pl.Callback]:
    config = experiment.config
    callbacks: list[pl.Callback] = [WholeBatch(), Retract(), TrainingProgress(clock)]
    projection = config.projection
    callbacks.append(OwnProjections(except_svcm=projection is not None and projection.kind == "svcm"))
    if projection is not None:
        callbacks.append(projection.callback())
    if experiment.method is not None:
        callbacks.append(TrainingMethodCallback(experiment.method))
    if config.clipping is not None:
        callbacks.append(NormChecks(folder, experiment.data.input_shape, config.clipping))
    if config.trainer.growth is not None:
        callbacks.append(Growth(config.trainer.growth))
    if config.trainer.ema is not None:
        # Of weights that a method has clipped.
        callbacks.append(WeightAverage(**config.trainer.ema.model_dump()))
    # What they do after a step is training, whose time the clock measures.
    callbacks += [clock, ValidationInterval(config.trainer.validate_every)]
    return [*callbacks, Recorder(folder, "best" if config.certify is None else config.certify.weights, clock)]


def shortened(section: TrainerSection, n_batches: int) -> tuple[int, int]:
    """Cut a training to the number of steps that it may take.

    Args:
        section: `max_steps` null leaves the training as it is.
        n_batches: Batches of a whole epoch, of which `accumulate` make a step.

    Returns:
        Number of epochs, -1 for as many as its time has room for, and of batches in each: all epochs are cut alike, so
        that each ends in a validation.
    """
    if section.max_epochs is None:
        return -1, n_batches
    if section.max_steps is None:
        return section.max_epochs, n_batches
    n_steps = -(-n_batches // section.accumulate)
    n_epochs = min(section.max_epochs, -(-section.max_steps // n_steps))
    return n_epochs, min(n_batches, section.max_steps // n_epochs * section.accumulate)


@contextmanager
def signals_as_errors() -> Iterator[None]:
    """Turn the ways in which Lightning ends a training after a signal into one error.

    Yields:
        Nothing.

    Raises:
        StoppedError: A signal came in the block.
        SystemExit: As it was raised, if no signal was the reason.
    """
    # Lightning ends the whole process on Ctrl-C and answers SIGTERM with exit code 0.
    try:
        yield
    except SIGTERMException as error:
        raise StoppedError(signal.SIGTERM) from error
    except KeyboardInterrupt as error:
        raise StoppedError(signal.SIGINT) from error
    except SystemExit as error:
        if isinstance(error.__context__, KeyboardInterrupt):
            raise StoppedError(signal.SIGINT) from error
        raise


@contextmanager
def quiet_lightning() -> Iterator[None]:
    """Keep Lightning's notes and those of its warnings that say nothing here from the terminal.

    Yields:
        Nothing.
    """
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            # Raised by Lightning 2.6 itself on torch 2.13.
            warnings.filterwarnings("ignore", r".*treespec, LeafSpec", FutureWarning)
            # Where Slurm is installed, which is no reason to start one process with it.
            warnings.filterwarnings("ignore", r".*`srun` command is available", UserWarning)
            # Metrics are the same in all processes already.
            warnings.filterwarnings("ignore", r".*sync_dist=True", UserWarning)
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
