"""Checkpoints that may be missing, broken, or not to be trusted."""

from __future__ import annotations

import pickle
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import nn

from onelip.experiments.errors import UserError
from onelip.experiments.run_folder import RunFolder


def load_best_weights(model: nn.Module, folder: RunFolder) -> int:
    """Load the weights that a run keeps.

    Args:
        model: The run's network; changed in place.
        folder: The run's folder.

    Returns:
        Their epoch, counted from 0.

    Raises:
        UserError: If the checkpoint is missing, broken or of another network.
    """
    return _load(model, folder.best_checkpoint, "")


def load_last_weights(model: nn.Module, folder: RunFolder, part: str = "model") -> int:
    """Load the weights after a run's last whole epoch.

    Args:
        model: The run's network; changed in place.
        folder: The run's folder.
        part: What the network is called in the task.

    Returns:
        Their epoch, counted from 0.

    Raises:
        UserError: If the checkpoint is missing, broken or of another network.
    """
    # It is that of the whole task, in which the network is an attribute.
    return _load(model, folder.last_checkpoint, f"{part}.")


def _load(model: nn.Module, path: Path, prefix: str) -> int:
    checkpoint = read_checkpoint(path)
    weights = {k.removeprefix(prefix): v for k, v in checkpoint["state_dict"].items() if k.startswith(prefix)}
    try:
        model.load_state_dict(weights)
        return int(checkpoint["epoch"])
    except (RuntimeError, KeyError) as error:
        raise UserError(f"{path} does not hold the weights of this run's network") from error


def read_checkpoint(path: Path) -> dict[str, Any]:
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
