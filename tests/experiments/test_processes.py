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

from onelip.experiments import UserError, commands, latest_run, processes
from onelip.experiments.config_trainer import Trainer
from onelip.experiments.errors import CommandFailedError
from onelip.experiments.process_plan import ProcessPlan
from onelip.experiments.processes import in_turns, largest, together, told
from onelip.experiments.recorder import read_metrics

ROOT = Path(__file__).parents[2]
SMALL = [
    "trainer.max_epochs=4", "trainer.max_steps=20", "data.batch_size=351", "trainer.threads=1", "model.widths=[32]",
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


@pytest.fixture
def evaluated(monkeypatch):
    """The folders of the runs that are certified and attacked, which takes longer than they do."""
    folders = []

    def evaluate(experiment, folder):
        assert not distributed.is_initialized()
        folders.append(folder.path)

    monkeypatch.setattr(commands, "evaluate_run", evaluate)
    return folders


@pytest.mark.slow
def test_two_processes_are_stopped_and_resumed_in_two_and_in_one_to_the_numbers_of_one(tmp_path, capfd, evaluated):
    commands.train("digits", [*SMALL, f"runs_dir={tmp_path / 'one'}"], resume=False)
    runs, copy = tmp_path / "two", tmp_path / "copy"
    # One that comes too late ends the test, not pytest.
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal_after(1, runs, signal.SIGTERM)
    with pytest.raises(CommandFailedError, match="stopped; continue with") as caught:
        commands.train("digits", [*SMALL, f"runs_dir={runs}", "trainer.devices=2"], resume=False)
    signal.signal(signal.SIGTERM, before)
    assert caught.value.exit_code == 128 + signal.SIGTERM
    assert not distributed.is_initialized()
    assert 1 <= len(rows(runs)) < 4
    shutil.copytree(runs, copy)
    commands.train("digits", [f"runs_dir={runs}"], resume=True)
    commands.train("digits", [f"runs_dir={copy}", "trainer.devices=1"], resume=True)
    expected = rows(tmp_path / "one")
    assert len(expected) == 4
    for resumed in (rows(runs), rows(copy)):
        for row, one in zip(resumed, expected, strict=True):
            assert row == pytest.approx(one, abs=1e-5)
    # The second process has said and made nothing.
    assert capfd.readouterr().out.count("run folder:") == 4
    assert evaluated == [latest_run("digits", folder).path for folder in (tmp_path / "one", runs, copy)]
    assert len(list(runs.glob("digits/*"))) == 1


def test_alone_nobody_has_to_be_asked():
    with together(Trainer(), ["train", "digits"]) as plan:
        assert plan.first
        assert largest(2.5) == 2.5
        assert told("a text") == "a text"
        assert in_turns(plan, lambda: 3) == 3
        with pytest.raises(UserError, match="broken"):
            in_turns(plan, lambda: raise_error("broken"))
    assert not distributed.is_initialized()


def raise_error(message):
    raise UserError(message)


def test_processes_on_the_cpu_have_no_nccl():
    section = Trainer(devices=2, process_group_backend="nccl", accelerator="cpu")
    with pytest.raises(UserError, match=r"trainer\.process_group_backend=nccl joins GPUs, and these processes are on"):
        together(section, []).__enter__()


class Threads:
    """Processes of `in_turns` as threads that agree through a barrier."""

    def __init__(self, monkeypatch, n):
        self.barrier, self.numbers, self.text = threading.Barrier(n), [0.0] * n, ""
        self.me = threading.local()
        monkeypatch.setattr(processes, "largest", self.largest)
        monkeypatch.setattr(processes, "told", self.told)

    def largest(self, number):
        self.numbers[self.me.rank] = number
        self.barrier.wait(10)
        found = max(self.numbers)
        self.barrier.wait(10)
        return found

    def told(self, text, source):
        if self.me.rank == source:
            self.text = text
        self.barrier.wait(10)
        return self.text

    def run(self, plan, work, found):
        self.me.rank = plan.rank
        try:
            found[plan.rank] = in_turns(plan, work)
        except Exception as error:
            found[plan.rank] = error


def outcomes(monkeypatch, work):
    """What `in_turns` gives in four processes on two machines."""
    threads, found = Threads(monkeypatch, 4), {}
    plans = [ProcessPlan(rank=rank, size=4, local_rank=rank % 2, local_size=2) for rank in range(4)]
    running = [threading.Thread(target=threads.run, args=(p, lambda p=p: work(p.rank), found)) for p in plans]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join(20)
    return found


def test_the_first_fetches_then_one_on_each_machine_then_all(monkeypatch):
    order = []
    assert outcomes(monkeypatch, lambda rank: order.append(rank) or rank) == {0: 0, 1: 1, 2: 2, 3: 3}
    assert order[:2] == [0, 2]
    assert sorted(order[2:]) == [1, 3]


def test_a_failure_of_one_is_the_error_of_all_and_nobody_goes_on(monkeypatch):
    begun = []

    def work(rank):
        begun.append(rank)
        if rank == 2:
            raise UserError("the disk of machine 1 is full")

    found = outcomes(monkeypatch, work)
    assert begun == [0, 2]
    assert {str(error) for error in found.values()} == {"the disk of machine 1 is full"}
    assert all(isinstance(error, UserError) for error in found.values())
