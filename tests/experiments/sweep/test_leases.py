"""Leases: one living holder, known to be dead at once here, and after a while elsewhere."""

import errno
import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from onelip.experiments.sweep import leases as module
from onelip.experiments.sweep.leases import Leases, this_machine

HOLD = """
import subprocess, sys
from pathlib import Path
from onelip.experiments.sweep.leases import Leases
leases = Leases(Path(sys.argv[1]))
held = [leases.claim(3)]
child = subprocess.Popen([sys.executable, "-S", "-c", "input()"], close_fds=False)
held.append(leases.claim(4))
print(child.pid, flush=True)
child.wait()
"""


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def elsewhere(folder, number=3, generation=1):
    """A lease that a worker on another machine holds, or held; its lock is not seen here."""
    path = folder / f"{number:04d}.{generation}"
    path.write_text(json.dumps({"machine": "another", "host": "there", "pid": 1}))
    return path


def test_a_held_trial_is_nobody_elses(tmp_path):
    first, second = Leases(tmp_path), Leases(tmp_path)
    lease = first.claim(3)
    assert (lease.generation, lease.held) == (1, True)
    assert second.claim(3) is None
    assert first.claim(3) is None
    assert second.claim(4).generation == 1
    assert json.loads((tmp_path / "0003.1").read_text())["pid"] == os.getpid()
    assert names(tmp_path) == ["0003.1", "0004.1"]


def test_of_many_at_once_one_wins(tmp_path):
    barrier = threading.Barrier(8)

    def claim(_):
        leases = Leases(tmp_path)
        barrier.wait()
        return [leases.claim(number) for number in range(20)]

    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(claim, range(8)))
    for of_number in zip(*won, strict=True):
        assert [lease.generation for lease in of_number if lease is not None] == [1]
    assert names(tmp_path) == [f"{number:04d}.1" for number in range(20)]


def test_of_many_that_find_a_dead_worker_one_wins(tmp_path):
    Leases(tmp_path).claim(3).release(done=False)
    barrier = threading.Barrier(8)

    def claim(_):
        leases = Leases(tmp_path)
        barrier.wait()
        return leases.claim(3)

    with ThreadPoolExecutor(8) as pool:
        won = [lease for lease in pool.map(claim, range(8)) if lease is not None]
    # One may have looked while another tried the lock, and then nobody is seen to be dead until the next look.
    assert [lease.generation for lease in won] in ([2], [])


def test_an_ended_trial_leaves_no_file(tmp_path):
    leases = Leases(tmp_path)
    leases.claim(3).release(done=False)
    lease = leases.claim(3)
    other = leases.claim(4)
    assert names(tmp_path) == ["0003.1", "0003.2", "0004.1"]
    lease.release(done=True)
    assert names(tmp_path) == ["0004.1"]
    assert leases.claim(4) is None
    other.release(done=True)


def test_a_generation_counts_the_dead_and_not_those_that_withdrew(tmp_path):
    leases = Leases(tmp_path)
    for expected in (1, 2):
        lease = leases.claim(3)
        assert lease.generation == expected
        lease.release(done=False)
    for _ in range(2):
        lease = leases.claim(3)
        assert lease.generation == 3
        lease.withdraw()
    assert names(tmp_path) == ["0003.1", "0003.2"]


@pytest.mark.slow
def test_the_lease_of_a_killed_process_is_free_at_once_unless_another_one_trains_for_it(tmp_path):
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        child = int(holder.stdout.readline())
        leases = Leases(tmp_path)
        assert [leases.claim(number) for number in (3, 4)] == [None, None]
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        assert leases.claim(3) is None
        assert leases.claim(4).generation == 2
        os.kill(child, signal.SIGKILL)
        holder.stdout.read()
    assert leases.claim(3).generation == 2


def test_the_lease_of_another_machine_is_free_after_it_was_silent_for_a_while(tmp_path, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    path, leases = elsewhere(tmp_path), Leases(tmp_path, patience=10.0)
    for seconds in (0.0, 6.0):
        now[0] += seconds
        assert leases.claim(3) is None
    os.utime(path, ns=(0, 12345))
    for seconds in (6.0, 6.0, 3.0):
        now[0] += seconds
        assert leases.claim(3) is None
    now[0] += 1.0
    assert leases.claim(3).generation == 2


def test_the_lease_of_another_machine_is_not_free_while_its_lock_is_seen(tmp_path, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    path, leases = elsewhere(tmp_path), Leases(tmp_path, patience=10.0)
    with path.open("r+b") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        for _ in range(3):
            assert leases.claim(3) is None
            now[0] += 11.0
    assert leases.claim(3) is None
    now[0] += 11.0
    assert leases.claim(3).generation == 2


def test_a_lease_that_cannot_be_read_counts_as_that_of_another_machine(tmp_path):
    (tmp_path / "0003.1").write_text("{")
    (tmp_path / "0004.1").write_text("[1]")
    leases = Leases(tmp_path, patience=60.0)
    assert [leases.claim(number) for number in (3, 4)] == [None, None]
    assert Leases(tmp_path, patience=0.0).claim(3).generation == 2


def test_locks_are_tried_on_files_open_for_writing_as_nfs_demands(tmp_path, monkeypatch):
    real = fcntl.flock

    def as_on_nfs(file, operation):
        flags = fcntl.fcntl(file, fcntl.F_GETFL)
        if operation & fcntl.LOCK_EX and flags & os.O_ACCMODE == os.O_RDONLY:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        real(file, operation)

    monkeypatch.setattr(fcntl, "flock", as_on_nfs)
    leases = Leases(tmp_path)
    leases.claim(3).release(done=False)
    assert leases.claim(3).generation == 2


def test_a_lease_is_touched_and_a_takeover_is_noticed(tmp_path):
    lease, lost = Leases(tmp_path).claim(3), threading.Event()
    path = tmp_path / "0003.1"
    os.utime(path, ns=(0, 0))
    lease.keep_alive(lost.set, every=0.01)
    until = threading.Event()
    while path.stat().st_mtime_ns == 0:
        until.wait(0.01)
    assert not lost.is_set()
    elsewhere(tmp_path, generation=2)
    assert lost.wait(10.0)
    assert not lease.held


def test_a_lease_that_is_given_up_is_not_lost(tmp_path):
    lost = threading.Event()
    for give_up in ("withdraw", "release"):
        lease = Leases(tmp_path).claim(3)
        lease.keep_alive(lost.set, every=0.01)
        lease.withdraw() if give_up == "withdraw" else lease.release(done=True)
    for thread in threading.enumerate():
        if thread.name == "lease":
            thread.join(10.0)
    assert not lost.is_set()


def test_this_machine_is_named_by_its_kernel_or_its_name(monkeypatch):
    assert this_machine() == this_machine()
    monkeypatch.setattr(Path, "exists", lambda self: False)
    monkeypatch.setattr(module.socket, "gethostname", lambda: "there")
    assert this_machine() == "there"
