"""The command `onelip sweep`."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console

from onelip.experiments.console import say
from onelip.experiments.errors import CommandFailedError, UserError
from onelip.experiments.progress import progress_bar
from onelip.experiments.sweep.creation import make_sweep, storage_of
from onelip.experiments.sweep.dry_run import show_plan
from onelip.experiments.sweep.executors import EXECUTORS, Options, check_options
from onelip.experiments.sweep.files import Stage, SweepFolder, stage_named
from onelip.experiments.sweep.spec import Cell, SweepSpec, read_sweep
from onelip.experiments.sweep.status import counts_in_words, show_status
from onelip.experiments.sweep.study import Study, add_again
from onelip.experiments.sweep.trial_run import metric_of
from onelip.experiments.sweep.work import Work

_LOOK_SECONDS = 2.0
"""How often the study is read while workers are at work."""


def sweep(name: str, overrides: Sequence[str], options: Options) -> None:
    """Run a sweep, or go on with it.

    Args:
        name: Name of a sweep, path of its file, or its folder.
        overrides: Changes of it.
        options: How.

    Raises:
        UserError: Something about it is wrong.
        CommandFailedError: It stopped, or some cell has no result.
    """
    stage = stage_named(options.stage)
    check_options(options)
    spec, folder = _found(name, overrides)
    for rule in spec.idle_rules():
        say(f"sweep.skip: no combination is {Cell(rule)}")
    if options.dry_run:
        show_plan(spec, folder, stage, options)
        return
    if options.status:
        _show(spec, folder, stage, storage_of(folder, options.storage))
        return
    url = make_sweep(spec, folder, options.storage, stage, several_machines=options.several_machines)
    study = Study(url, folder.study_name(stage), spec.distributions)
    if options.retry_failed:
        say(f"{add_again(url, study.name, spec.distributions)} trials that failed are tried once more")
    say(f"sweep folder: {folder.path}", f"{stage}: {counts_in_words(study.trials())} trials")
    again = f"onelip sweep {folder.path}" + ("" if stage == "search" else f" --stage {stage}")
    try:
        with _Progress(study) as watch:
            ended = EXECUTORS[options.executor](Work(str(folder.path), url, stage), options, watch)
    except KeyboardInterrupt:
        raise CommandFailedError(f"stopped; go on with: {again}", 130) from None
    except CommandFailedError as error:
        raise CommandFailedError(f"{error}; go on with: {again}", error.exit_code) from None
    if not ended:
        say(f"see how it stands with: {again} --status")
        return
    _show(spec, folder, stage, url)
    _finish(spec, folder, stage, study)


def _finish(spec: SweepSpec, folder: SweepFolder, stage: Stage, study: Study) -> None:
    trials = study.trials()
    if stage == "search" and spec.distributions:
        say(f"train the best of each cell with: onelip sweep {folder.path} --stage final")
    say(f"look at all runs with: onelip report {folder.path}", f"tables: onelip tables {folder.path / stage}")
    without = {str(Cell(t.labels)) for t in trials} - {str(Cell(t.labels)) for t in trials if t.state == "complete"}
    if without:
        raise CommandFailedError(f"no trial has ended well of {len(without)} cells: {'; '.join(sorted(without))}", 1)


def _show(spec: SweepSpec, folder: SweepFolder, stage: Stage, url: str) -> None:
    trials = Study(url, folder.study_name(stage), spec.distributions).trials()
    metric, goal = metric_of(spec.section, spec.config(spec.cells()[0], spec.typical, (), ("runs", spec.name)))
    show_status(spec, stage, trials, metric, goal)
    say(f"{stage}: {counts_in_words(trials)} trials")


def _found(name: str, overrides: Sequence[str]) -> tuple[SweepSpec, SweepFolder]:
    if not Path(name).is_dir():
        spec = read_sweep(name, overrides)
        return spec, SweepFolder(spec.folder)
    folder = SweepFolder(Path(name))
    if not folder.spec_file.exists():
        raise UserError(f"{name} is not the folder of a sweep; it has no sweep.yaml")
    return read_sweep(str(folder.spec_file), overrides), folder


class _Progress:
    """A bar on a terminal; elsewhere a line whenever the counts change."""

    def __init__(self, study: Study) -> None:
        self._study = study
        self._console = Console(stderr=True)
        self._bar = progress_bar(self._console)
        self._next = 0.0
        self._said = ""

    def __enter__(self) -> Callable[[], None]:
        self._bar.start()
        self._task = self._bar.add_task("trials", total=None, status="")
        return self._look

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def _look(self) -> None:
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + _LOOK_SECONDS
        trials = self._study.trials()
        n_ended = sum(trial.state not in ("waiting", "running") for trial in trials)
        words = counts_in_words(trials)
        self._bar.update(self._task, completed=n_ended, total=len(trials), status=words)
        if not self._console.is_terminal and words != self._said:
            self._said = words
            say(words)
