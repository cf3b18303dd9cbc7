"""The command `onelip bench layers`."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import torch

from onelip import layers
from onelip.experiments.bench.results import measure
from onelip.experiments.bench.setup import PLAIN, Setup
from onelip.experiments.bench.table import FORMATS
from onelip.experiments.console import say
from onelip.experiments.errors import UserError, as_user_errors
from onelip.experiments.files import write_text_atomically
from onelip.experiments.progress import work_bar
from onelip.linalg import unknown_name

_SIZES = {"kernel": 3, "size": 32}
"""Sizes of convolutions, where none are given."""


def bench_layers(
    *,
    kind: str,
    methods: str | None,
    channels: int,
    kernel: int | None,
    size: int | None,
    batch: int,
    device: str,
    repeats: int,
    format_name: str,
    out: str | None,
) -> None:
    """Measure registered layers and print or write the table.

    Args:
        kind: Kind of layer.
        methods: Names with commas between; None for all of the kind.
        channels: Channels or features.
        kernel: Side of the kernel; None for 3.
        size: Side of the images; None for 32.
        batch: Inputs in a batch.
        device: "cpu" or "cuda".
        repeats: Timed steps of each layer.
        format_name: A key of `FORMATS`.
        out: File to write; None for standard output.

    Raises:
        UserError: If an option is wrong, or the file cannot be written.
    """
    if format_name not in FORMATS:
        raise UserError(unknown_name("format", format_name, FORMATS))
    with as_user_errors():
        setup = _setup(kind, methods, channels, kernel, size, batch, device, repeats)
    path = None if out is None else _writable(Path(out))
    with work_bar(f"measuring {len(setup.methods)} methods") as progress:
        rows = measure(setup, progress)
    text = FORMATS[format_name](setup, rows)
    if path is None:
        sys.stdout.write(text)
    else:
        write_text_atomically(path, text)
        say(f"written: {path}")


def _setup(
    kind: Any,
    methods: str | None,
    channels: int,
    kernel: int | None,
    size: int | None,
    batch: int,
    device: str,
    repeats: int,
) -> Setup:
    if kind not in PLAIN:
        raise UserError(unknown_name("kind", kind, PLAIN))
    names = layers.available(kind) if methods is None else tuple(name.strip() for name in methods.split(","))
    given = {"kernel": kernel, "size": size}
    for name, value in given.items():
        if kind == "linear" and value is not None:
            raise UserError(f"{name}={value} has no meaning for kind='linear'; leave it out")
    default = dict.fromkeys(_SIZES, 1) if kind == "linear" else _SIZES
    sides = {name: default[name] if value is None else value for name, value in given.items()}
    return Setup(kind, names, channels, sides["kernel"], sides["size"], batch, _device(device), repeats)


def _device(name: str) -> torch.device:
    try:
        return torch.device(name)
    except RuntimeError:
        raise UserError(f"device={name!r} is unknown; use 'cpu' or 'cuda'") from None


def _writable(path: Path) -> Path:
    if not path.parent.is_dir():
        raise UserError(f"{path.parent}: no such folder, so {path.name} cannot be written there")
    if path.is_dir() or not os.access(path.parent, os.W_OK):
        raise UserError(f"{path} cannot be written")
    return path
