"""Small sweeps for tests: their files, and a stand-in for the training of a trial."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from onelip.experiments.run_folder import RunFolder
from onelip.experiments.sweep.creation import make_sweep
from onelip.experiments.sweep.files import Stage, SweepFolder
from onelip.experiments.sweep.spec import SweepSpec, read_sweep
from onelip.experiments.sweep.study import StoredTrial, Study
from onelip.experiments.sweep.worker import Worker

RANDOM = """
base: digits
name: tried
optimizer: {lr: !loguniform [1e-3, 1e-1]}
sweep:
  trials: 2
  factors: {method: {a: {layer: aoc}, b: {layer: aol}}}
"""
"""Two cells with two draws each."""


def written(place: Path, text: str = RANDOM) -> str:
    """Write a sweep whose runs go beside it; say where it is."""
    file = place / "tried.yaml"
    file.write_text(text if "runs_dir" in text else f"runs_dir: {place / 'runs'}\n{text}")
    return str(file)


def read(place: Path, text: str = RANDOM, *changes: str) -> SweepSpec:
    return read_sweep(written(place, text), changes)


class Made:
    """A sweep with its study."""

    def __init__(self, place: Path, text: str = RANDOM, *changes: str, stage: Stage = "search", url: str | None = None):
        self.spec = read(place, text, *changes)
        self.folder = SweepFolder(self.spec.folder)
        self.stage = stage
        # Quicker than SQLite.
        self.url = make_sweep(self.spec, self.folder, url or f"journal:{place / 'study.journal'}", stage)

    @property
    def study(self) -> Study:
        return Study(self.url, self.folder.study_name(self.stage), self.spec.distributions)

    @property
    def trials(self) -> list[StoredTrial]:
        return self.study.trials()

    def worker(self, run_trial: Any) -> Worker:
        return Worker(self.folder, self.url, self.stage, run_trial)

    def path(self, number: int) -> Path:
        return self.folder.trial(self.stage, number)

    def record(self, number: int) -> dict[str, Any]:
        return dict(json.loads((self.path(number) / "trial.json").read_text()))


class Training:
    """In place of `run_trial`: leaves a row for each epoch, whose value is the learning rate, and remembers the call.

    Args:
        end: What each trial ends with, by number: an exception, or a function of its folder.
        epochs: How many rows.
    """

    def __init__(self, end: Mapping[int, Any] | None = None, epochs: int = 1) -> None:
        self.end = dict(end or {})
        self.epochs = epochs
        self.ran: list[int] = []
        self.configs: dict[int, Any] = {}
        self.evaluated: list[bool] = []
        self._lock = threading.Lock()

    def __call__(self, config: Any, folder: RunFolder, *, evaluate: bool, callbacks: Any = ()) -> None:
        number = int(folder.path.name)
        with self._lock:
            self.ran.append(number)
            self.configs[number] = config
            self.evaluated.append(evaluate)
        rows = [f"{epoch},{config.optimizer.lr!r}" for epoch in range(self.epochs)]
        folder.metrics_file.write_text("\n".join(["epoch,val_certified_accuracy", *rows, ""]))
        end = self.end.get(number)
        if isinstance(end, BaseException):
            raise end
        if end is not None:
            end(folder)
