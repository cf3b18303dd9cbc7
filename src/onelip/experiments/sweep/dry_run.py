"""What a sweep would do: its cells, what is drawn, and how long it would take on this machine."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from onelip.experiments.bench.epoch_time import EpochTime, measure_epoch
from onelip.experiments.config import ExperimentConfig
from onelip.experiments.config_common import RunConfig, SampledConfig
from onelip.experiments.console import say
from onelip.experiments.errors import UserError
from onelip.experiments.progress import work_bar
from onelip.experiments.sweep.executors import Options, default_workers
from onelip.experiments.sweep.files import Stage, SweepFolder
from onelip.experiments.sweep.plan import plan_search
from onelip.experiments.sweep.spec import Cell, SweepSpec
from onelip.experiments.sweep.work import Work

_MEASURED_SECONDS = 5.0
"""For the steps of each cell."""

_MEASURED_STEPS = 10


def show_plan(spec: SweepSpec, folder: SweepFolder, stage: Stage, options: Options) -> None:
    """Print the cells with their trials, and the estimated time; write nothing.

    Args:
        spec: The sweep.
        folder: Where it would be.
        stage: Which stage.
        options: How it would be run.
    """
    cells = spec.cells()
    final = spec.section.final
    if stage == "final":
        # Its seeds take the place of those of the search.
        cells = list({cell.key: cell.without_seed for cell in cells}.values())
    n_trials = [len(final.seeds)] * len(cells) if stage == "final" else _numbers(spec)
    with work_bar("measuring steps") as progress:
        seconds = []
        for n_done, cell in enumerate(cells):
            progress(n_done, len(cells))
            seconds.append(_trial_seconds(spec, cell, stage))
    table = Table(box=None, pad_edge=False)
    for column in (*cells[0].labels, "trials", "of about", "epoch takes"):
        table.add_column(column)
    for cell, n, (trial, note) in zip(cells, n_trials, seconds, strict=True):
        labels = [str(level) for level in cell.labels.values()]
        table.add_row(*map(Text, (*labels, str(n), "-" if trial is None else duration_text(trial), note)))
    Console().print(table)
    for path, distribution in spec.distributions.items():
        say(f"{path}: {distribution.tag} {distribution.items}")
    n_workers = options.workers or (default_workers() if options.executor == "local" else 1)
    known = [n * trial for n, (trial, _) in zip(n_trials, seconds, strict=True) if trial is not None]
    say(f"{stage}: {sum(n_trials)} trials in {len(cells)} cells, in {folder.path}")
    # As if alone: several workers on one machine slow each other down.
    total = duration_text(sum(known) / n_workers)
    beside = "" if len(known) == len(cells) else f", without {len(cells) - len(known)} cells that could not be measured"
    say(f"about {total} with {n_workers} worker{'s' if n_workers > 1 else ''} as fast as this machine alone{beside}")
    if options.executor == "slurm":
        from onelip.experiments.sweep.slurm import slurm_script

        work = Work(str(folder.path), options.storage or "the study in its folder", stage)
        say("", slurm_script(work, n_workers, options.resources))


def duration_text(seconds: float) -> str:
    """Write a time for people.

    Args:
        seconds: The time.

    Returns:
        Such as "3 min" or "2.5 h".
    """
    for unit, size in (("d", 86400.0), ("h", 3600.0), ("min", 60.0)):
        if seconds >= 2 * size:
            return f"{seconds / size:.2g} {unit}" if seconds < 10 * size else f"{seconds / size:.0f} {unit}"
    return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"


def _numbers(spec: SweepSpec) -> list[int]:
    counts: dict[str, int] = {}
    for trial in plan_search(spec):
        counts[str(trial.cell)] = counts.get(str(trial.cell), 0) + 1
    return [counts[str(cell)] for cell in spec.cells()]


def _trial_seconds(spec: SweepSpec, cell: Cell, stage: Stage) -> tuple[float | None, str]:
    changes = spec.section.final.set.items() if stage == "final" else ()
    config = spec.config(cell, spec.typical, changes, ("runs", spec.name))
    budget = spec.section.final.budget if stage == "final" else spec.section.budget
    try:
        time = measure_epoch(config, steps=_MEASURED_STEPS, max_seconds=_MEASURED_SECONDS, warm_up=2)
    except (UserError, RuntimeError) as error:
        return budget, f"not measured: {error}"
    note = f"{duration_text(time.seconds)}{' (made-up images)' if time.made_up else ''}"
    return (budget if budget is not None else _whole(config, time)), note


def _whole(config: RunConfig, time: EpochTime) -> float | None:
    if isinstance(config, ExperimentConfig):
        section = config.trainer
        if section.max_minutes is not None:
            return 60.0 * section.max_minutes
        epochs = float(section.max_epochs or 0)
        if section.max_steps is not None:
            epochs = min(epochs, section.max_steps / time.steps_per_epoch)
        return epochs * time.seconds
    if isinstance(config, SampledConfig):
        return config.trainer.max_steps / time.steps_per_epoch * time.seconds
    return None
