"""The command `onelip bench budget`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import torch

import onelip
from onelip.experiments.bench.budgets import read_budgets, write_budget
from onelip.experiments.bench.epoch_time import EpochTime, measure_epoch
from onelip.experiments.bench.named_configs import Named, layers_compared, named_configs, with_changes
from onelip.experiments.bench.own_process import OwnProcessError, in_own_process
from onelip.experiments.config import ExperimentConfig
from onelip.experiments.config_common import RunConfig, SampledConfig
from onelip.experiments.config_file import load_any_config
from onelip.experiments.console import say
from onelip.experiments.errors import CommandFailedError, UserError, one_line
from onelip.experiments.machine import describe_machine
from onelip.experiments.training import StoppedError, device_of

_COLUMNS = ("configuration", "s per epoch", "steps", "s per step", "epochs", "")
_LONGEST = 300
"""Letters of an error that are kept: those of a GPU's allocator go on for pages."""


def bench_budget(
    words: Sequence[str],
    *,
    sizes: str | None,
    methods: str | None,
    data: str | None,
    hours: float,
    steps: int,
    seconds: float,
    out: str,
) -> None:
    """Measure the time of an epoch of configurations, and write and print how many fit into a time.

    Args:
        words: Names, paths and patterns of configurations, and changes of all of them.
        sizes: Of the networks of "1-Lipschitz Layers Compared", with commas between.
        methods: Of their layers.
        data: Their data sets.
        hours: The time.
        steps: How many steps of each to measure.
        seconds: Time for the steps of each.
        out: The file.

    Raises:
        UserError: If nothing is named, or an argument is wrong.
        CommandFailedError: If a configuration failed, or the command was stopped.
    """
    chosen = named_configs(words)
    if not {sizes, methods, data} <= {None}:
        changes = [word for word in words if "=" in word]
        family = layers_compared(*(_names(text) for text in (sizes, methods, data)))
        chosen = [*chosen, *(with_changes(named, changes) for named in family)]
    chosen = list(dict.fromkeys(chosen))
    if not chosen:
        raise UserError("no configuration is named; give names, files, or --sizes and --methods")
    path = Path(out)
    if not path.parent.is_dir():
        raise UserError(f"{path.parent}: no such folder, so {path.name} cannot be written there")
    read_budgets(path)
    # A mistake in the last one is found before the first one is measured.
    configs = [load_any_config(named.name, named.changes) for named in chosen]
    rows = []
    for number, (named, config) in enumerate(zip(chosen, configs, strict=True), start=1):
        machine, row = _row(config, hours, steps, seconds)
        write_budget(path, machine, str(named), row)
        rows.append((named, row))
        sys.stderr.write(f"{number}/{len(chosen)} {named}: {_outcome(row)}\n")
    _print(rows)
    say(f"written: {path}")
    failed = [str(named) for named, row in rows if "error" in row]
    if failed:
        raise CommandFailedError(f"{len(failed)} of {len(rows)} configurations failed: {', '.join(failed)}", 1)


def _names(text: str | None) -> list[str]:
    return [] if text is None else [name.strip() for name in text.split(",") if name.strip()]


def _row(config: RunConfig, hours: float, steps: int, seconds: float) -> tuple[str, dict[str, Any]]:
    device = _device(config)
    machine = describe_machine(torch.device(device))
    when = datetime.now().astimezone().isoformat(timespec="seconds")
    row: dict[str, Any] = {"hours": hours, "onelip": onelip.__version__, "date": when}
    try:
        time = _measured(config, device, steps, seconds)
        machine, row = time.machine, {**_times(time), **row}
        row["epochs"] = time.epochs_within(3600.0 * hours)
    except StoppedError as error:
        raise CommandFailedError("stopped; what was measured before is kept", 128 + error.number) from None
    except (UserError, OwnProcessError, ValueError) as error:
        row["error"] = one_line(str(error))[:_LONGEST]
    # One configuration that does not fit must not take the others along, so its row holds the error, whatever it is.
    except Exception as error:
        row["error"] = f"{type(error).__name__}: {one_line(str(error))}"[:_LONGEST]
    return machine, row


def _device(config: RunConfig) -> str:
    if isinstance(config, ExperimentConfig | SampledConfig):
        return device_of(config.trainer.accelerator)
    return "cpu"


# On the CPU a process that is killed for want of memory is a row, too; a GPU says so by an error.
def _measured(config: RunConfig, device: str, steps: int, seconds: float) -> EpochTime:
    if device == "cpu":
        return in_own_process(_measure, config, steps, seconds, torch.get_num_threads())
    return measure_epoch(config, steps=steps, max_seconds=seconds)


def _measure(config: RunConfig, steps: int, seconds: float, threads: int) -> EpochTime:
    torch.set_num_threads(threads)
    return measure_epoch(config, steps=steps, max_seconds=seconds)


def _times(time: EpochTime) -> dict[str, Any]:
    return {
        "seconds_per_epoch": time.seconds,
        "seconds_per_step": time.seconds_per_step,
        "steps_per_epoch": time.steps_per_epoch,
        "recording_seconds": time.recording_seconds,
        "validation_seconds": time.validation_seconds,
        "validate_every": time.validate_every,
        "made_up_data": time.made_up,
    }


def _outcome(row: dict[str, Any]) -> str:
    if "error" in row:
        return str(row["error"])
    return f"{_three(row['seconds_per_epoch'])} s per epoch, {row['epochs']:,} epochs in {row['hours']:g} h"


def _print(rows: Sequence[tuple[Named, dict[str, Any]]]) -> None:
    lines = [_COLUMNS, *(_cells(named, row) for named, row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for first, *numbers, note in lines:
        aligned = (cell.rjust(width) for cell, width in zip(numbers, widths[1:], strict=False))
        sys.stdout.write("  ".join([first.ljust(widths[0]), *aligned, note]).rstrip() + "\n")


def _cells(named: Named, row: dict[str, Any]) -> tuple[str, ...]:
    note = row.get("error") or ("made-up images" if row["made_up_data"] else "")
    if "seconds_per_epoch" not in row:
        return str(named), "-", "-", "-", "-", note
    seconds, step = (_three(row[name]) for name in ("seconds_per_epoch", "seconds_per_step"))
    epochs = f"{row['epochs']:,}" if "epochs" in row else "0"
    return str(named), seconds, f"{row['steps_per_epoch']:,}", step, epochs, note


def _three(value: float) -> str:
    return f"{value:.3g}" if value < 999.5 else f"{value:,.0f}"
