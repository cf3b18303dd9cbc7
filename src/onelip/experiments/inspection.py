"""The commands that look at a run and at the machine: each function is one command."""

from __future__ import annotations

from onelip.experiments.config import ExperimentConfig
from onelip.experiments.console import say
from onelip.experiments.doctor import format_checks, run_checks
from onelip.experiments.errors import CommandFailedError, UserError
from onelip.experiments.report import write_report
from onelip.experiments.report.figure import FOLDER
from onelip.experiments.run_folder import open_run_folder
from onelip.experiments.sampled_tasks import sampled_task


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
