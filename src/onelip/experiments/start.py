"""Trainings that begin with the weights of another run, such as orthonormal fine-tuning."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from torch import nn
from torch.nn.utils.parametrize import remove_parametrizations

from onelip.experiments.checkpoints import load_best_weights, load_last_weights
from onelip.experiments.config import ExperimentConfig
from onelip.experiments.config_start import Start
from onelip.experiments.errors import UserError
from onelip.experiments.run_folder import RunFolder, latest_run, open_run_folder
from onelip.swap import transfer_

_LOADERS = {"best": load_best_weights, "last": load_last_weights}


@dataclass(frozen=True)
class Began:
    """Which weights a network begins with.

    Attributes:
        run: Folder of the run that they are of.
        weights: Those that it keeps, or those after its last epoch.
        epoch: Their epoch, counted from 0.
        largest_change: Of a layer's weight when this network took it, relative to its length.
    """

    run: str
    weights: str
    epoch: int
    largest_change: float


def start_folder(start: Start, runs_dir: str) -> RunFolder:
    """Find the run to begin with.

    Args:
        start: The section of the configuration.
        runs_dir: Where runs are looked for by name.

    Returns:
        Its folder.

    Raises:
        UserError: There is none.
    """
    if Path(start.run).is_dir() or Path(start.run).name != start.run:
        return open_run_folder(start.run)
    try:
        return latest_run(start.run, runs_dir)
    except UserError as error:
        raise UserError(f"start.run: {error}") from None


def with_start_folder(config: ExperimentConfig) -> ExperimentConfig:
    """Write the run to begin with as a folder, since the latest run of a name may be another one tomorrow.

    Args:
        config: A configuration.

    Returns:
        It with a folder in place of a name.
    """
    if config.start is None:
        return config
    folder = start_folder(config.start, config.runs_dir)
    return config.model_copy(update={"start": config.start.model_copy(update={"run": str(folder.path)})})


def begin_with(model: nn.Module, source: nn.Module, start: Start, runs_dir: str) -> Began:
    """Give a network the weights of another run.

    Args:
        model: The network, changed in place.
        source: A fresh network of the other run, with the parametrisations that its training gave it; it is used up.
        start: Which run, and which of its weights.
        runs_dir: Where runs are looked for by name.

    Returns:
        Which weights they are.

    Raises:
        UserError: The run has none.
        ValueError: The architectures differ, or a layer cannot take the weight.
    """
    folder = start_folder(start, runs_dir)
    epoch = _LOADERS[start.weights](source, folder)
    source.eval()
    for module in list(source.modules()):
        for name in list(getattr(module, "parametrizations", {})):
            remove_parametrizations(module, name)
    try:
        changes = transfer_(model, source)
    except ValueError as error:
        raise ValueError(f"start.run={folder.path}: {error}") from None
    return Began(str(folder.path), start.weights, epoch, max(changes.values(), default=0.0))
