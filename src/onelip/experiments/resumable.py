"""Trainings that stop before their end: what the user is told, and how to go on."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from onelip.experiments.console import say
from onelip.experiments.errors import CommandFailedError
from onelip.experiments.evaluation import read_json
from onelip.experiments.files import write_json_atomically
from onelip.experiments.process_plan import ProcessPlan
from onelip.experiments.recorder import read_metrics
from onelip.experiments.run_folder import RunFolder
from onelip.experiments.training import StoppedError
from onelip.tasks import NonFiniteError


@contextmanager
def resumable(folder: RunFolder, processes: ProcessPlan) -> Iterator[None]:
    """Turn a signal, or a number that is not finite, into one line with the way to go on.

    Args:
        folder: The run's folder, which keeps why it failed.
        processes: The place of this process.

    Yields:
        Nothing.

    Raises:
        CommandFailedError: The block stopped early.
    """
    try:
        yield
    except KeyboardInterrupt:
        _stopped(folder, signal.SIGINT)
    except StoppedError as error:
        _stopped(folder, error.number)
    except NonFiniteError as error:
        if processes.first:
            write_json_atomically(folder.failure_file, {"message": str(error)})
        raise CommandFailedError(f"{error}; {_kept(folder)}", 1) from None
    if processes.first:
        folder.failure_file.unlink(missing_ok=True)


def recall_failure(folder: RunFolder) -> None:
    """Say that a run stopped, if it did.

    A resumed training takes the same steps, so whoever resumes without a change of the code should know.

    Args:
        folder: The run's folder.
    """
    if folder.failure_file.exists():
        message = read_json(folder.failure_file)["message"]
        say(f"the run stopped since {message}; {_kept(folder)}, from which the same steps are taken again")


def _kept(folder: RunFolder) -> str:
    if not folder.last_checkpoint.exists():
        return "there is no checkpoint yet"
    return f"the last good checkpoint, of epoch {len(read_metrics(folder))}, is {folder.last_checkpoint}"


def _stopped(folder: RunFolder, number: int) -> NoReturn:
    raise CommandFailedError(f"stopped; continue with: onelip train --resume {folder.path}", 128 + number) from None
