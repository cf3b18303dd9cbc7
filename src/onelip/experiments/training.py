"""From a checked configuration to trained weights in a run folder."""

from __future__ import annotations

import inspect
import logging
import pickle
import signal
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities.exceptions import SIGTERMException
from torch import nn

from onelip import data, layers, losses, models
from onelip.data import DataSet, ImageData
from onelip.experiments.config import ExperimentConfig
from onelip.experiments.errors import UserError, as_user_errors
from onelip.experiments.progress import work_bar
from onelip.experiments.recorder import Recorder
from onelip.experiments.run_folder import RunFolder
from onelip.experiments.training_progress import TrainingProgress
from onelip.linalg import unknown_name
from onelip.tasks import OPTIMIZERS, SCHEDULES, Classification, Retract

_PRECISIONS: dict[int | str, Any] = {32: "32-true", 64: "64-true", "bf16-mixed": "bf16-mixed"}
_OPTION_TYPES = {bool: (bool,), int: (int,), float: (float, int), str: (str,), tuple: (list,), list: (list,)}


class StoppedError(Exception):
    """A signal stopped the training; `number` is the signal's."""

    def __init__(self, number: int) -> None:
        super().__init__(f"stopped by signal {number}")
        self.number = number


@dataclass(frozen=True, eq=False)
class Experiment:
    """All that a training needs, in memory and checked.

    Attributes:
        config: The configuration.
        data: The data set.
        train: The images to learn from.
        validation: The images to select weights by.
        model: The network, with fresh weights.
        loss: The loss.
    """

    config: ExperimentConfig
    data: DataSet
    train: ImageData
    validation: ImageData
    model: nn.Module
    loss: nn.Module


def prepare(config: ExperimentConfig) -> Experiment:
    """Check the names in a configuration, load the data, build the network; write nothing.

    Args:
        config: The configuration.

    Returns:
        The experiment, its weights drawn with the configuration's seed.

    Raises:
        UserError: If something does not exist or does not fit together.
    """
    with as_user_errors():
        _check_names(config)
        loss = losses.build(config.loss.name, **config.loss.options)
        with work_bar(f"loading {config.data.name}") as progress:
            images = data.load(config.data.name, config.data.dir, progress=progress)
        train, validation = data.split(images.train, config.data.validation, config.seed)
        if config.trainer.threads is not None:
            torch.set_num_threads(config.trainer.threads)
        model = build_model(config, images)
        with torch.no_grad():
            model(train.pixels(slice(0, 2)))
    return Experiment(config, images, train, validation, model, loss)


def build_model(config: ExperimentConfig, images: DataSet) -> nn.Module:
    """Build the configured network, preceded by the subtraction of the mean training pixel if asked for.

    Args:
        config: The configuration.
        images: The data set that the network is for.

    Returns:
        The network, its weights drawn with the configuration's seed.
    """
    torch.manual_seed(config.seed)
    return models.build(
        config.model.name,
        input_shape=images.input_shape,
        n_classes=images.n_classes,
        layer=config.layer,
        linear=config.linear,
        activation=config.activation,
        mean=images.train.channel_mean() if config.data.normalize == "mean" else None,
        **config.model.options,
    )


def train(experiment: Experiment, folder: RunFolder, *, resume: bool = False) -> None:
    """Train, leaving metrics and checkpoints in a run folder.

    Args:
        experiment: What to train.
        folder: Where.
        resume: Continue after the last checkpoint in the folder, if there is one.

    Raises:
        StoppedError: If a signal stopped it; the folder can be resumed.
        NonFiniteLossError: If the loss became NaN or infinite.
    """
    config = experiment.config
    checkpoint = folder.last_checkpoint if resume and folder.last_checkpoint.exists() else None
    step = 0 if checkpoint is None else read_checkpoint(folder.last_checkpoint)["global_step"]
    task = Classification(
        experiment.model,
        experiment.loss,
        optimizer=OPTIMIZERS[config.optimizer.name](**config.optimizer.model_dump(exclude={"name"})),
        schedule=SCHEDULES[config.schedule.name](**config.schedule.model_dump(exclude={"name"})),
        radius=config.certify.selection_radius,
        compile=config.trainer.compile,
    )
    loaders = _loaders(experiment)
    torch.manual_seed(config.seed)
    with _quiet_lightning():
        trainer = _trainer(config, folder, len(loaders[0]), step)
        _fit(trainer, task, loaders, None if checkpoint is None else str(checkpoint))


def load_best_weights(model: nn.Module, folder: RunFolder) -> int:
    """Load the weights of the best epoch.

    Args:
        model: The run's network; changed in place.
        folder: The run's folder.

    Returns:
        The epoch.

    Raises:
        UserError: If the checkpoint is missing, broken or of another network.
    """
    checkpoint = read_checkpoint(folder.best_checkpoint)
    try:
        model.load_state_dict(checkpoint["state_dict"])
    except (RuntimeError, KeyError) as error:
        raise UserError(f"{folder.best_checkpoint} does not hold the weights of this run's network") from error
    return int(checkpoint["epoch"])


def read_checkpoint(path: Any) -> dict[str, Any]:
    """Read a checkpoint, executing nothing that it holds.

    Args:
        path: Its path.

    Returns:
        Tensors and plain values.

    Raises:
        UserError: If it is missing, truncated or otherwise broken.
    """
    if not path.is_file():
        raise UserError(f"{path} is missing; the run has no whole epoch yet")
    broken = f"{path} is not a whole checkpoint; restore it from a copy, or start a new run"
    try:
        with zipfile.ZipFile(path) as archive:
            if archive.testzip() is not None:
                raise UserError(broken)
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except (zipfile.BadZipFile, pickle.UnpicklingError, RuntimeError, EOFError, ValueError) as error:
        raise UserError(broken) from error
    if not isinstance(checkpoint, dict) or "state_dict" not in checkpoint:
        raise UserError(broken)
    return checkpoint


def _check_names(config: ExperimentConfig) -> None:
    layer_names = {*layers.available("conv2d"), *layers.available("linear"), "plain"}
    for kind, name, allowed in (
        ("data set", config.data.name, data.available()),
        ("model", config.model.name, models.available()),
        ("layer", config.layer, layer_names),
        ("linear layer", config.linear or "plain", {*layers.available("linear"), "plain"}),
        ("activation", config.activation, layers.available("activation")),
        ("loss", config.loss.name, losses.available()),
    ):
        if name not in allowed:
            raise ValueError(unknown_name(kind, name, allowed))
    _check_options("model", config.model.options, models.available()[config.model.name].factory)
    _check_options("loss", config.loss.options, losses.available()[config.loss.name].factory)


# Types follow the defaults; names and ranges are checked by the parts themselves.
def _check_options(section: str, options: dict[str, Any], factory: Any) -> None:
    defaults = {name: p.default for name, p in inspect.signature(factory).parameters.items()}
    for name, value in options.items():
        default = defaults.get(name)
        kinds = _OPTION_TYPES.get(type(default))
        if kinds is not None and type(value) not in kinds:
            shown = list(default) if isinstance(default, tuple) else default
            raise ValueError(f"{section}.{name}={value!r} has the wrong type; the default is {shown!r}")


def _loaders(experiment: Experiment) -> tuple[data.Batches, data.Batches]:
    section, device = experiment.config.data, _device(experiment.config.trainer.accelerator)
    return (
        data.Batches(
            experiment.train,
            section.batch_size,
            shuffle=True,
            augment=data.Augment(**section.augment.model_dump()),
            seed=experiment.config.seed,
            device=device,
        ),
        data.Batches(experiment.validation, section.eval_batch_size, shuffle=False, device=device),
    )


def _device(accelerator: str) -> str:
    if accelerator == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return {"gpu": "cuda"}.get(accelerator, accelerator)


def _trainer(config: ExperimentConfig, folder: RunFolder, n_batches: int, step: int) -> pl.Trainer:
    logger = TensorBoardLogger(save_dir=folder.tensorboard, name="", version="", purge_step=step or None)
    return pl.Trainer(
        max_epochs=config.trainer.max_epochs,
        accelerator=config.trainer.accelerator,
        devices=1,
        precision=_PRECISIONS[config.trainer.precision],
        gradient_clip_val=config.trainer.gradient_clip,
        log_every_n_steps=min(config.trainer.log_every, n_batches),
        deterministic=True if _device(config.trainer.accelerator) == "cpu" else "warn",
        callbacks=[Retract(), TrainingProgress(), Recorder(folder)],
        logger=logger,
        default_root_dir=folder.path,
        num_sanity_val_steps=0,
        enable_progress_bar=False,
        enable_model_summary=False,
    )


# Lightning ends the whole process on Ctrl-C and answers SIGTERM with exit code 0.
def _fit(trainer: pl.Trainer, task: Classification, loaders: tuple[Any, Any], checkpoint: str | None) -> None:
    handler = signal.getsignal(signal.SIGINT)
    try:
        trainer.fit(task, *loaders, ckpt_path=checkpoint, weights_only=True)
    except SIGTERMException as error:
        raise StoppedError(signal.SIGTERM) from error
    except SystemExit as error:
        signal.signal(signal.SIGINT, handler)
        if isinstance(error.__context__, KeyboardInterrupt):
            raise StoppedError(signal.SIGINT) from error
        raise


@contextmanager
def _quiet_lightning() -> Iterator[None]:
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            # Raised by Lightning 2.6 itself on torch 2.13.
            warnings.filterwarnings("ignore", r".*treespec, LeafSpec", FutureWarning)
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
