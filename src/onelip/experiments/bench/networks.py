"""Measure networks one after the other, each on the CPU in processes of its own."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import torch

import onelip
from onelip.experiments.bench.cell import Cell, measure_evaluation, measure_training
from onelip.experiments.bench.measurements import PLAIN, Measurement
from onelip.experiments.bench.own_process import OwnProcessError, in_own_process
from onelip.experiments.errors import UserError, one_line
from onelip.experiments.machine import describe_machine
from onelip.layers import available as available_layers
from onelip.linalg import unknown_name
from onelip.models import available as available_models

_LONGEST = 300
"""Letters of an error that are kept: those of a GPU's allocator go on for pages."""


def check_names(models: Sequence[str], methods: Sequence[str], device: str) -> None:
    """Refuse what does not exist, before anything is measured.

    Args:
        models: Names of architectures.
        methods: Names of layers, or "plain".
        device: Where.

    Raises:
        UserError: Something does not exist.
    """
    known = {*available_layers("conv2d"), *available_layers("linear"), PLAIN}
    kinds: tuple[tuple[str, Sequence[str], Any], ...] = (
        ("model", models, available_models()),
        ("method", methods, known),
    )
    for kind, names, allowed in kinds:
        for name in names:
            if name not in allowed:
                raise UserError(unknown_name(kind, name, allowed))
    n_gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    devices = ["cpu", *(["cuda"] if n_gpus else []), *(f"cuda:{index}" for index in range(n_gpus))]
    if device not in devices:
        raise UserError(f"device={device!r} is not available; use {' or '.join(map(repr, devices))}")


def measure_network(cell: Cell) -> Measurement:
    """Measure a network; what fails leaves its error in place of its numbers.

    Args:
        cell: The network.

    Returns:
        The row.
    """
    numbers: dict[str, Any] = {}
    errors = []
    for name, measure in (("training", measure_training), ("evaluation", measure_evaluation)):
        try:
            numbers.update(in_own_process(measure, cell) if cell.device == "cpu" else measure(cell))
        except OwnProcessError as error:
            errors.append(f"{name}: {error}")
        # One network that does not fit must not take the others' numbers along.
        except Exception as error:
            errors.append(f"{name}: {type(error).__name__}: {one_line(str(error))}")
    device = torch.device(cell.device)
    return Measurement(
        machine=describe_machine(device),
        device=device.type,
        onelip=onelip.__version__,
        date=datetime.now().astimezone().isoformat(timespec="seconds"),
        model=cell.model,
        method=cell.method,
        batch=cell.batch,
        image=cell.image,
        classes=cell.classes,
        **numbers,
        error="; ".join(error[:_LONGEST] for error in errors),
    )
