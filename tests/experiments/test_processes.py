"""Several processes: the same numbers as one, and an end with exit code 0."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from tests.experiments.two_processes import CASES, in_two, numbers_of
from torch import distributed

from onelip.experiments import UserError, commands, latest_run
from onelip.experiments.config_trainer import Trainer
from onelip.experiments.errors import CommandFailedError
from onelip.experiments.process_plan import ProcessPlan
from onelip.experiments.processes import in_turns, largest, together, told
from onelip.experiments.recorder import read_metrics

ROOT = Path(__file__).parents[2]
SMALL = [
    "trainer.max_epochs=4", "trainer.max_steps=20", "data.batch_size=101", "trainer.threads=1", "model.widths=[32]",
    "trainer.validate_every=1", "attack=null",
]  # fmt: skip


@pytest.fixture(autouse=True)
def paths(monkeypatch):
    folders = [str(ROOT / "src"), str(ROOT), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, folders)))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


@pytest.mark.slow
def test_whatever_a_training_does_two_processes_compute_what_one_does(tmp_path):
    store = distributed.TCPStore("127.0.0.1", 0, 2, True, wait_for_workers=False)
    command = [sys.executable, "-m", "tests.experiments.two_processes", str(tmp_path), str(store.port)]
    other = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    expected = {name: numbers_of(name, tmp_path, ProcessPlan()) for name in CASES}
    first = in_two(tmp_path, 0, store)
    _, errors = other.communicate(timeout=60)
    assert other.returncode == 0, errors
    assert json.loads((tmp_path / "second.json").read_text()) == first
    for name, numbers in expected.items():
        assert len(numbers["losses"]) > 4
        assert first[name]["losses"] == pytest.approx(numbers["losses"], abs=1e-5), name
        assert first[name]["weights"] == pytest.approx(numbers["weights"], rel=1e-4, abs=1e-4), name
        assert first[name]["random"] == numbers["random"], name


def rows(runs):
    """All that the epochs have measured, without the clock's readings."""
    metrics = read_metrics(latest_run("digits", runs))
    return [[value for key, value in row.items() if key not in ("seconds", "minutes")] for row in metrics]


def signal_after(n_epochs, runs, number):
    """Send this process a signal as soon as a run has recorded some epochs."""

    def watch():
        while not any(file.read_text().count("\n") > n_epochs for file in runs.glob("digits/*/metrics.csv")):
            time.sleep(0.005)
        os.kill(os.getpid(), number)

    threading.Thread(target=watch, daemon=True).start()


@pytest.mark.slow
def test_a_training_in_two_processes_is_stopped_and_resumed_in_two_and_in_one_to_the_numbers_of_one(tmp_path, capfd):
    commands.train("digits", [*SMALL, f"runs_dir={tmp_path / 'one'}"], resume=False)
    runs, copy = tmp_path / "two", tmp_path / "copy"
    signal_after(1, runs, signal.SIGTERM)
    with pytest.raises(CommandFailedError, match="stopped; continue with") as caught:
        commands.train("digits", [*SMALL, f"runs_dir={runs}", "trainer.devices=2"], resume=False)
    assert caught.value.exit_code == 128 + signal.SIGTERM
    assert not distributed.is_initialized()
    assert 1 < len(rows(runs)) + 1 < 5
    shutil.copytree(runs, copy)
    commands.train("digits", [f"runs_dir={runs}"], resume=True)
    commands.train("digits", [f"runs_dir={copy}", "trainer.devices=1"], resume=True)
    expected = rows(tmp_path / "one")
    assert len(expected) == 4
    for resumed in (rows(runs), rows(copy)):
        for row, one in zip(resumed, expected, strict=True):
            assert row == pytest.approx(one, abs=1e-5)
    results = [json.loads(latest_run("digits", r).results_file.read_text()) for r in (tmp_path / "one", runs)]
    assert results[0]["accuracy"] == pytest.approx(results[1]["accuracy"], abs=1e-5)
    # The second process has said nothing.
    assert capfd.readouterr().out.count("run folder:") == 4
