"""Workers on this machine: replaced when they die, and gone when the command is."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from onelip.experiments.errors import CommandFailedError
from onelip.experiments.sweep import local
from onelip.experiments.sweep.local import start_local, worker_environment
from onelip.experiments.sweep.work import Work

STAND_IN = str(Path(__file__).parent / "stand_in.py")


@pytest.fixture
def work(tmp_path, monkeypatch):
    """What stand-ins of workers do; call it with what each in turn is to do."""
    real = subprocess.Popen

    def instead(command, **options):
        assert command[:3] == [sys.executable, "-m", "onelip.experiments.sweep.worker"]
        return real([sys.executable, "-S", STAND_IN, *command[3:]], **options)

    monkeypatch.setattr(local.subprocess, "Popen", instead)
    monkeypatch.setattr(local, "_POLL_SECONDS", 0.02)
    monkeypatch.setattr(local, "_END_SECONDS", 2.0)

    def make(*plan):
        (tmp_path / "plan.json").write_text(json.dumps(plan))
        return Work(str(tmp_path), f"journal:{tmp_path / 'x.journal'}", "final")

    return make


def started(folder):
    return [json.loads(path.read_text()) for path in folder.glob("started-*.json")]


def gone(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return Path(f"/proc/{pid}/stat").read_text().split()[2] == "Z"


def numbers(folder, kind):
    return [int(path.stem.rpartition("-")[2]) for path in folder.glob(f"{kind}-*")]


def test_all_that_were_asked_for_run_and_what_they_print_is_kept(work, tmp_path):
    looks = []
    start_local(work(0), 2, lambda: looks.append(1))
    arguments = [str(tmp_path), f"journal:{tmp_path / 'x.journal'}", "final"]
    assert [record["arguments"] for record in started(tmp_path)] == [arguments, arguments]
    assert (tmp_path / "logs" / "worker-1.log").read_text() == "these are its last words\n"
    assert looks


def test_a_killed_worker_is_replaced(work, tmp_path, capsys):
    start_local(work("kill", 0), 1)
    assert len(started(tmp_path)) == 2
    assert "worker 0 was killed by signal 9; another one takes its place" in capsys.readouterr().out
    assert (tmp_path / "logs" / "worker-0.log").read_text() == 2 * "these are its last words\n"


def test_workers_that_keep_dying_end_the_sweep_with_their_last_words(work, tmp_path):
    with pytest.raises(
        CommandFailedError, match=r"worker 0 ended with exit code 1; its last words are in .*worker-0\.log"
    ):
        start_local(work(1), 1)
    assert len(started(tmp_path)) == 4


def test_a_mistake_of_the_user_is_not_tried_again(work, tmp_path):
    with pytest.raises(CommandFailedError, match="worker 0 ended with exit code 2") as caught:
        start_local(work(2), 1)
    assert caught.value.exit_code == 1
    assert len(started(tmp_path)) == 1


@pytest.mark.parametrize(
    ("number", "raised"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, CommandFailedError)]
)
def test_a_signal_stops_the_workers(work, tmp_path, number, raised):
    def stop():
        if len(numbers(tmp_path, "waits")) == 2:
            signal.raise_signal(number)

    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(raised) as caught:
        start_local(work("wait"), 2, stop)
    if raised is CommandFailedError:
        assert caught.value.exit_code == 143
    assert all(gone(pid) for pid in numbers(tmp_path, "waits"))
    assert not numbers(tmp_path, "input-ended")
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_worker_that_does_not_stop_is_killed(work, tmp_path, monkeypatch):
    monkeypatch.setattr(local, "_END_SECONDS", 0.2)

    def stop():
        if len(started(tmp_path)) == 1 and (tmp_path / "logs" / "worker-0.log").read_text():
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        start_local(work("deaf"), 1, stop)
    assert all(gone(pid) for pid in numbers(tmp_path, "started"))


@pytest.mark.slow
def test_workers_end_when_the_process_that_started_them_is_killed(work, tmp_path):
    made = work("wait")
    code = (
        "import subprocess, sys\n"
        "from onelip.experiments.sweep import local, work\n"
        "real = subprocess.Popen\n"
        f"stand_in = [sys.executable, '-S', {STAND_IN!r}]\n"
        "local.subprocess.Popen = lambda command, **options: real([*stand_in, *command[3:]], **options)\n"
        f"local.start_local(work.Work({made.folder!r}, {made.storage!r}, 'search'), 2)\n"
    )
    process = os.posix_spawn(sys.executable, [sys.executable, "-c", code], os.environ)
    while len(numbers(tmp_path, "waits")) < 2:
        time.sleep(0.02)
    os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)
    while len(numbers(tmp_path, "input-ended")) < 2:
        time.sleep(0.02)
    assert sorted(numbers(tmp_path, "input-ended")) == sorted(numbers(tmp_path, "waits"))


@pytest.mark.parametrize(
    ("environment", "index", "expected"),
    [
        ({}, 0, {"OMP_NUM_THREADS": "4"}),
        ({"OMP_NUM_THREADS": "7", "A": "b"}, 1, {"OMP_NUM_THREADS": "7", "A": "b"}),
        ({"CUDA_VISIBLE_DEVICES": "2,5"}, 0, {"CUDA_VISIBLE_DEVICES": "2"}),
        ({"CUDA_VISIBLE_DEVICES": "2,5"}, 1, {"CUDA_VISIBLE_DEVICES": "5"}),
        ({"CUDA_VISIBLE_DEVICES": "2,5"}, 2, {"CUDA_VISIBLE_DEVICES": "2"}),
        ({"CUDA_VISIBLE_DEVICES": ""}, 0, {"CUDA_VISIBLE_DEVICES": ""}),
    ],
)
def test_the_machine_is_divided(monkeypatch, environment, index, expected):
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    divided = worker_environment(environment, index, 2)
    assert {"OMP_NUM_THREADS": "4", **expected} == divided


def test_gpus_that_nobody_lists_are_found(monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    devices = [worker_environment({}, index, 3) for index in range(3)]
    assert [d["CUDA_VISIBLE_DEVICES"] for d in devices] == ["0", "1", "0"]
    assert {d["OMP_NUM_THREADS"] for d in devices} == {"1"}
