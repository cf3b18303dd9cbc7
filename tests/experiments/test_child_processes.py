"""Processes that a first one starts, watches and ends."""

import inspect
import subprocess
import sys
import time

import pytest

from onelip.experiments import child_processes
from onelip.experiments.child_processes import ChildProcesses
from onelip.experiments.process_plan import STARTED_BY_US, ProcessPlan


@pytest.fixture
def start(monkeypatch):
    """Start processes that run a program of the test's in place of `onelip`."""
    real, made = subprocess.Popen, []

    def begin(program: str, size: int = 2) -> ChildProcesses:
        def popen(command, env, stdin):
            rank, port = env["RANK"], env["MASTER_PORT"]
            assert command[1:] == ["-m", "onelip", "train", "digits"]
            assert (env["WORLD_SIZE"], env["LOCAL_RANK"], port, STARTED_BY_US in env) == (str(size), rank, "1234", True)
            return real([sys.executable, "-S", "-c", program.format(rank=rank)], stdin=stdin)

        monkeypatch.setattr(subprocess, "Popen", popen)
        children = ChildProcesses(ProcessPlan(size=size, local_size=size), ["train", "digits"], 1234)
        made.append(children)
        return children

    yield begin
    for children in made:
        children.end()


def test_children_that_end_by_themselves_are_waited_for(start):
    assert start("import time; time.sleep(0.1)", size=3).wait() is None


def test_a_child_that_fails_is_named(start):
    children = start("import sys; sys.exit({rank} - 1)", size=3)
    assert str(children.failure(20.0)) == "process 2 of 3 ended with exit code 1"
    assert children.wait().exit_code == 1


def test_nobody_waits_for_ever(start, monkeypatch):
    monkeypatch.setattr(child_processes, "_END_SECONDS", 0.1)
    assert str(start("import time; time.sleep(60)").wait()) == "process 1 of 2 ended with exit code -9"


def test_where_the_first_process_does_not_notice_it_is_ended(start, monkeypatch, capsys):
    codes = []
    monkeypatch.setattr(child_processes, "_GRACE_SECONDS", 0.01)
    monkeypatch.setattr(child_processes.os, "_exit", codes.append)
    start("import sys; sys.exit(3)")
    until = time.monotonic() + 20
    while not codes and time.monotonic() < until:
        time.sleep(0.05)
    assert codes[0] == 1
    assert "process 1 of 2 ended with exit code 3" in capsys.readouterr().err


def test_a_child_ends_with_the_first_process():
    # Without the time that imports take.
    source = inspect.getsource(child_processes.end_with_the_first)
    program = f"import os, threading, time\n{source}\nend_with_the_first()\ntime.sleep(60)"
    child = subprocess.Popen([sys.executable, "-S", "-c", program], stdin=subprocess.PIPE)
    child.stdin.close()
    assert child.wait(timeout=60) == 1
