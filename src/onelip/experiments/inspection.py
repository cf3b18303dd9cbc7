"""The commands that look at a run and at the machine: each function is one command."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from onelip.experiments.config import ExperimentConfig
from onelip.experiments.console import say
from onelip.experiments.doctor import format_checks, run_checks
from onelip.experiments.errors import CommandFailedError, UserError
from onelip.experiments.overview.command import overview
from onelip.experiments.report import write_report
from onelip.experiments.report.figure import FOLDER
from onelip.experiments.run_folder import RunFolder, open_run_folder
from onelip.experiments.sampled_tasks import sampled_task


def report_all(
    runs: Sequence[str],
    *,
    out: str | None = None,
    title: str | None = None,
    measurements: str | None = None,
    pictures: bool = False,
) -> None:
    """Write the page of a run, or one page over many.

    Args:
        runs: The folder of a run; or several, or folders that hold some.
        out: Where the page over many runs is written.
        title: Its heading.
        measurements: A file of `onelip bench measure`, whose scores it draws as a radar plot.
        pictures: Draw PNG and SVG files, too.

    Raises:
        UserError: If there is no run, the run has no results yet, or an option does not go with one run.
    """
    if len(runs) > 1 or not RunFolder(Path(runs[0])).config_file.is_file():
        overview(runs, out=out, title=title, measurements=measurements, pictures=pictures)
        return
    for name, value in (("--out", out), ("--title", title), ("--measurements", measurements)):
        if value is not None:
            raise UserError(f"{name} is for one page over several runs, and {runs[0]} is a single run; leave it out")
    report(runs[0], pictures=pictures)


def report(run: str, *, pictures: bool = False) -> None:
    """Write a run's page.

    Args:
        run: The run's folder.
        pictures: Draw what it shows of robustness as PNG and SVG files, too.

    Raises:
        UserError: If the run has no results yet, or its task has no pictures of robustness.
    """
    folder = open_run_folder(run)
    folder.check_writable()
    if not folder.results_file.exists():
        raise UserError(f"{run} has no results yet; finish it with: onelip train --resume {run}")
    config = folder.any_config()
    if not isinstance(config, ExperimentConfig):
        if pictures:
            raise UserError(f"--pictures is for classifiers, and {run} is a run of task={config.task}; leave it out")
        say(f"report: {sampled_task(config.task).write_page(folder)}")
        return
    say(f"report: {write_report(folder.path, pictures=pictures)}")
    if pictures:
        say(f"pictures: {folder.path / FOLDER}")


def doctor() -> None:
    """Check the machine.

    Raises:
        CommandFailedError: If something is broken.
    """
    checks = run_checks()
    say(format_checks(checks))
    broken = [check for check in checks if not check.ok]
    if broken:
        raise CommandFailedError(f"{len(broken)} of {len(checks)} checks failed", 1)
