"""What every worker of a sweep does, whoever started it: take a trial, run it, say how it ended, until none is left."""

from __future__ import annotations

import math
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from onelip.experiments.config import ExperimentConfig
from onelip.experiments.config_common import RunConfig
from onelip.experiments.console import say
from onelip.experiments.errors import CommandFailedError, UserError, as_user_errors, one_line
from onelip.experiments.evaluation import read_json
from onelip.experiments.files import write_json_atomically, write_text_atomically
from onelip.experiments.recorder import read_metrics
from onelip.experiments.run_folder import RunFolder, run_folder_at
from onelip.experiments.start import with_start_folder
from onelip.experiments.sweep.budget import within_budget
from onelip.experiments.sweep.files import Stage, SweepFolder, stage_named
from onelip.experiments.sweep.leases import Lease, Leases
from onelip.experiments.sweep.neighbours import falls_behind, propose
from onelip.experiments.sweep.reporting import PrunedError, Reporting
from onelip.experiments.sweep.spec import Cell, SweepSpec, read_sweep
from onelip.experiments.sweep.status import shown_params
from onelip.experiments.sweep.study import State, StoredTrial, Study
from onelip.experiments.sweep.trial_run import metric_of, run_trial, score
from onelip.experiments.training import StoppedError

RunTrial = Callable[..., None]

_POLL_SECONDS = 2.0
"""How often a worker without a trial looks whether one of the others has died."""

_LAST_SECONDS = 60.0
"""For a worker to stop after the process that started it has gone."""

_SIGNALLED = 128
"""Exit codes from here on are those of commands that a signal stopped."""


def run_worker(folder: str, storage: str, stage: str = "search") -> int:
    """Take trials of a sweep and run them until all have ended.

    Args:
        folder: The sweep's folder, which all workers share.
        storage: URL of its study.
        stage: "search" or "final".

    Returns:
        How many trials this worker ended.

    Raises:
        StoppedError: A signal stopped it; its trial goes on from its checkpoint when a worker takes it next.
        UserError: The folder is not the one that the study was made with.
    """
    return Worker(SweepFolder(Path(folder)), storage, stage_named(stage)).run()


class Worker:
    """See `run_worker`.

    Args:
        folder: The sweep's files.
        storage: URL of its study.
        stage: Which stage.
        run_trial: Trains in a folder; see `onelip.experiments.sweep.trial_run.run_trial`.
    """

    def __init__(self, folder: SweepFolder, storage: str, stage: Stage, run_trial: RunTrial = run_trial) -> None:
        self._folder, self._stage = folder, stage
        self._spec: SweepSpec = read_sweep(str(folder.spec_file))
        self._study = Study(storage, folder.study_name(stage), self._spec.distributions)
        state = read_json(folder.state_file) if folder.state_file.exists() else {}
        if state.get("tokens", {}).get(stage) != self._study.token:
            raise UserError(
                f"{folder.path} is not the folder that study {self._study.name!r} was made with; all workers need that "
                f"folder, on a file system that they share"
            )
        self._leases = Leases(folder.leases(stage))
        self._run_trial = run_trial
        self._place = str(folder.path.parent), folder.path.name
        self._metric = metric_of(
            self._spec.section, self._spec.config(self._spec.cells()[0], self._spec.typical, (), self._place)
        )
        self._waiting: list[StoredTrial] = []
        self._lost = False

    def run(self) -> int:
        """Run trials until all have ended.

        Returns:
            How many this worker ended.
        """
        n_ended = 0
        while True:
            taken = self._take()
            if taken is not None:
                n_ended += self._run(*taken)
            elif all(trial.state not in ("waiting", "running") for trial in self._study.trials()):
                return n_ended
            else:
                time.sleep(_POLL_SECONDS)

    # Those whose worker has died come first; of those that wait, what was read before is asked for again.
    def _take(self) -> tuple[Lease, StoredTrial] | None:
        if not self._waiting:
            trials = self._study.trials()
            self._waiting = [t for s in ("waiting", "running") for t in reversed(trials) if t.state == s]
        while self._waiting:
            trial = self._study.trial(self._waiting.pop().id)
            if trial.state not in ("waiting", "running"):
                continue
            lease = self._leases.claim(trial.number)
            if lease is None:
                continue
            # Another worker may have ended it between the two.
            trial = self._study.trial(trial.id)
            if trial.state == "running" or self._study.start(trial.id):
                return lease, trial
            lease.release(done=True)
        return None

    def _run(self, lease: Lease, trial: StoredTrial) -> bool:
        self._lost = False
        lease.keep_alive(self._lose)
        path = self._folder.trial(self._stage, trial.number)
        started = time.monotonic()
        try:
            state, value, error = self._attempt(trial, path)
        except (StoppedError, KeyboardInterrupt, SystemExit):
            # The last is what submitit ends a job with whose time is over.
            if self._lost:
                # It is another worker's now, with all its files.
                lease.release(done=False)
                return False
            _forget_attempt(path)
            lease.withdraw()
            raise
        if not lease.held:
            lease.release(done=False)
            return False
        record = _read_record(path) or self._record(self._study.trial(trial.id))
        record |= {"state": state, "seconds": round(time.monotonic() - started, 3)}
        record |= {} if value is None else {"value": value}
        record |= {"error": error} if error else {}
        write_json_atomically(path / "trial.json", record)
        self._study.finish(trial.id, state, value, error)
        lease.release(done=True)
        say(f"trial {trial.number} {state}" + (f": {error}" if error else f", {record['metric']} {value}"))
        return True

    def _record(self, trial: StoredTrial) -> dict[str, Any]:
        metric, goal = self._metric
        return {
            "sweep": self._folder.path.name,
            "stage": self._stage,
            "trial": trial.number,
            "factors": dict(trial.labels),
            "draw": trial.draw,
            "params": dict(trial.params or {}),
            "metric": metric,
            "goal": goal,
        }

    def _attempt(self, trial: StoredTrial, path: Path) -> tuple[State, float | None, str]:
        try:
            return self._train(trial, path)
        except (StoppedError, KeyboardInterrupt):
            raise
        except CommandFailedError as error:
            if error.exit_code >= _SIGNALLED:
                raise StoppedError(error.exit_code - _SIGNALLED) from error
            return self._failed(path, error)
        # Whatever a layer or a loss raises is the trial's end and not the sweep's.
        except Exception as error:
            return self._failed(path, error)

    def _train(self, trial: StoredTrial, path: Path) -> tuple[State, float | None, str]:
        params = trial.params
        section = self._spec.section
        cell = Cell(trial.labels)
        metric, goal = self._metric
        if params is None:
            proposed = propose(self._study, trial, self._spec.distributions, goal, section.seed)
            params = self._study.set_params(trial.id, proposed)
        folder, config = self._run_folder(trial, cell, params, path)
        record = _begin_attempt(folder, self._record(replace(trial, params=params)))
        _check_deaths(record["attempts"], section.max_deaths)
        say(f"trial {trial.number}: {cell}, draw {trial.draw}, {shown_params(params) or 'nothing drawn'}")

        def behind(epoch: int, value: float) -> bool:
            self._study.report(trial.id, epoch, value)
            pruning = section.pruning
            return pruning is not None and falls_behind(self._study, trial.id, pruning, goal)

        callbacks = [Reporting(metric, behind)] if section.pruning is not None and self._stage == "search" else []
        evaluate = self._stage == "final" or self._spec.evaluated
        try:
            self._run_trial(config, folder, evaluate=evaluate, callbacks=callbacks)
        except PrunedError as error:
            return "pruned", _finite(metric, error.value), ""
        return "complete", _finite(metric, score(config, folder, metric)), ""

    def _run_folder(
        self, trial: StoredTrial, cell: Cell, params: Mapping[str, Any], path: Path
    ) -> tuple[RunFolder, RunConfig]:
        if (path / "config.yaml").exists():
            folder = RunFolder(path)
            config = folder.any_config()
            # With the images that it began with, where they are a part of all.
            return folder, folder.config() if isinstance(config, ExperimentConfig) else config
        config = self._spec.config(cell, params, trial.changes, self._place)
        section = self._spec.section
        budget = section.budget if self._stage == "search" else section.final.budget
        if budget is not None:
            changes = [*within_budget(config, budget, self._folder, cell), *trial.changes]
            config = self._spec.config(cell, params, changes, self._place)
        if isinstance(config, ExperimentConfig):
            with as_user_errors():
                config = with_start_folder(config)
        config = _with_threads(config)
        return run_folder_at(path, config), config

    def _failed(self, path: Path, error: Exception) -> tuple[State, float | None, str]:
        path.mkdir(parents=True, exist_ok=True)
        write_text_atomically(path / "error.txt", "".join(traceback.format_exception(error)))
        message = one_line(str(error)) or type(error).__name__
        expected = isinstance(error, UserError | CommandFailedError | ArithmeticError)
        return "failed", None, message if expected else f"{type(error).__name__}: {message}"

    def _lose(self) -> None:
        self._lost = True
        # A signal also wakes it from waiting for another process.
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)


# Recorded, so that whoever resumes the trial has the same.
def _with_threads(config: RunConfig) -> RunConfig:
    trainer: Any = getattr(config, "trainer", None)
    if trainer is None or trainer.threads is not None:
        return config
    return config.model_copy(update={"trainer": trainer.model_copy(update={"threads": torch.get_num_threads()})})


def _finite(metric: str, value: float) -> float:
    if not math.isfinite(value):
        raise UserError(f"{metric}={value} is no finite number, and trials are compared by it")
    return value


def _read_record(path: Path) -> dict[str, Any]:
    file = path / "trial.json"
    return dict(read_json(file)) if file.exists() else {}


# A list of how many epochs there were when each worker began.
def _begin_attempt(folder: RunFolder, record: dict[str, Any]) -> dict[str, Any]:
    attempts = [*_read_record(folder.path).get("attempts", []), len(read_metrics(folder))]
    record = {**record, "attempts": attempts}
    write_json_atomically(folder.path / "trial.json", record)
    return record


def _forget_attempt(path: Path) -> None:
    record = _read_record(path)
    if record.get("attempts"):
        write_json_atomically(path / "trial.json", {**record, "attempts": record["attempts"][:-1]})


def _check_deaths(attempts: list[int], most: int) -> None:
    n_deaths = sum(rows == attempts[-1] for rows in attempts) - 1
    if n_deaths >= most:
        raise UserError(
            f"{n_deaths} workers died at it after {attempts[-1]} epochs, for lack of memory perhaps; their last words "
            f"are in the logs of the sweep"
        )


def stop_with_the_first() -> None:
    """Stop as after SIGTERM when the process that holds our input ends."""

    def watch() -> None:
        # Read past Python's buffer, whose lock must be free when the interpreter ends.
        while os.read(0, 1):
            pass
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(_LAST_SECONDS)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def main(arguments: list[str]) -> int:
    """Work as a process of its own.

    Args:
        arguments: Folder, storage and stage.

    Returns:
        Exit code.
    """
    folder, storage, stage = arguments
    # Whatever a worker does, it stops as after Ctrl-C, and gives its trial back.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    stop_with_the_first()
    try:
        run_worker(folder, storage, stage)
    except UserError as error:
        sys.stderr.write(f"onelip: {error}\n")
        return 2
    except StoppedError as error:
        return _SIGNALLED + error.number
    except KeyboardInterrupt:
        return _SIGNALLED + 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
