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
    checkpoint = read_checkpoint(folder.best_checkpoint)
    try:
        model.load_state_dict(checkpoint["state_dict"])
    except (RuntimeError, KeyError) as error:
        raise UserError(f"{folder.best_checkpoint} does not hold the weights of this run's network") from error
    return int(checkpoint["epoch"])


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
