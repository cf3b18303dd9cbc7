"""A run killed at any instant continues to the same numbers."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from onelip.experiments import commands, latest_run
from onelip.experiments.recorder import read_metrics

COMMAND = [sys.executable, "-c", "from onelip.cli import main; main()", "train"]
SMALL = [
    "trainer.max_epochs=4", "data.batch_size=16", "trainer.threads=1", "schedule=cosine", "model.widths=[32]",
    "attack.samples=10", "attack.steps=2", "attack.restarts=1",
]  # fmt: skip


def start(cwd: Path, *arguments: str) -> subprocess.Popen:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [*COMMAND, *arguments], cwd=cwd, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def wait_for_epochs(process: subprocess.Popen, runs: Path, n_epochs: int) -> None:
    """Return as soon as the run has recorded some epochs; the next one has then begun."""
    while process.poll() is None:
        files = list(runs.glob("digits/*/metrics.csv"))
        if files and files[0].read_text().count("\n") > n_epochs:
            return
        try:
            process.wait(timeout=0.02)
        except subprocess.TimeoutExpired:
            continue
    pytest.fail(f"the run ended before it could be stopped: {process.communicate()}")


def numbers(runs: Path) -> dict:
    """All that a run says, without the clock's readings."""
    folder = latest_run("digits", runs)
    results = json.loads(folder.results_file.read_text())
    for reading in ("created", "train_seconds"):
        del results[reading]
    certificate = json.loads(folder.certificate_file.read_text())
    clock = ("seconds", "minutes")
    rows = [{key: value for key, value in row.items() if key not in clock} for row in read_metrics(folder)]
    attack = json.loads(folder.attack_file.read_text())
    return {"results": results, "metrics": rows, "attack": attack, "radii": certificate["radii"]}


@pytest.mark.slow
def test_a_killed_and_an_interrupted_run_resume_to_the_same_numbers(tmp_path, monkeypatch):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    whole.mkdir()
    killed.mkdir()
    monkeypatch.chdir(whole)
    commands.train("digits", SMALL, resume=False)

    process = start(killed, "digits", *SMALL)
    wait_for_epochs(process, killed / "runs", 1)
    process.kill()
    process.communicate()

    process = start(killed, "digits", "--resume")
    wait_for_epochs(process, killed / "runs", 2)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    run = latest_run("digits", killed / "runs").path
    assert process.returncode == 130, errors
    assert errors.splitlines()[-1] == f"onelip: stopped; continue with: onelip train --resume {run.relative_to(killed)}"

    # What a new process resumes has been seen; starting one more only takes time.
    monkeypatch.chdir(killed)
    commands.train(str(run), [], resume=True)
    assert numbers(killed / "runs") == numbers(whole / "runs")
    assert not list(run.rglob(".*partial*"))
