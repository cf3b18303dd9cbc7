"""A Slurm cluster of one node, this machine, started for a test from Debian's packages slurm-wlm and munge."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.experiments.sweep.servers import free_port

_CONFIGURATION = """
ClusterName=one
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
SlurmctldPort={controller_port}
SlurmdPort={node_port}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=requeue_delay=1,batch_sched_delay=1,sched_interval=1
NodeName={host} NodeAddr=127.0.0.1 CPUs={processors} State=UNKNOWN
PartitionName=main Nodes={host} Default=YES MaxTime=2-0 State=UP
EnforcePartLimits=ALL
"""


@contextlib.contextmanager
def slurm_cluster() -> Iterator[None]:
    """Run munged, slurmctld and slurmd; sbatch and its kind find them through SLURM_CONF."""
    missing = [name for name in ("munged", "slurmctld", "slurmd", "sbatch", "srun") if shutil.which(name) is None]
    if missing:
        pytest.skip(f"{missing[0]} is not installed (Debian: apt-get install slurm-wlm munge)")
    if os.geteuid() != 0:
        pytest.skip("slurmd runs as root, and this is another user")
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        host = socket.gethostname().partition(".")[0]
        place = {"folder": folder, "host": host, "processors": os.cpu_count()}
        ports = {"controller_port": free_port(), "node_port": free_port()}
        (folder / "slurm.conf").write_text(_CONFIGURATION.format(**place, **ports))
        (folder / "key").write_bytes(os.urandom(1024))
        (folder / "key").chmod(0o400)
        (folder / "state").mkdir()
        files = [f"--{n}={folder}/munge.{n.partition('-')[0]}" for n in ("socket", "pid-file", "log-file", "seed-file")]
        stack.enter_context(pytest.MonkeyPatch.context()).setenv("SLURM_CONF", str(folder / "slurm.conf"))
        stack.enter_context(_running(["munged", "--force", "-F", f"--key-file={folder}/key", *files], folder))
        stack.enter_context(_running(["slurmctld", "-D"], folder))
        stack.enter_context(_running(["slurmd", "-D"], folder))
        _until_idle(folder)
        try:
            yield
        finally:
            subprocess.run(["scancel", "--full", "--partition=main"], check=False, capture_output=True)
            _until_idle(folder)


def end_the_time(job: str, seconds: float = 60.0) -> None:
    """Tell a running job that its time is over, and have Slurm start it again at once.

    Slurm itself waits for two minutes. A node refuses ("credential revoked") what the controller signed in the second
    in which that node ended the job's first turn, and the job is then lost: hence the pause once it is queued again.
    """
    subprocess.run(["scancel", "--signal=USR2", job], check=True)
    until = time.monotonic() + seconds
    while _state(job) != "PENDING":
        if time.monotonic() > until:
            raise RuntimeError(f"job {job} was not queued again within {seconds:g} s; it is {_state(job) or 'gone'}")
        time.sleep(0.1)
    time.sleep(2.0)
    subprocess.run(["scontrol", "update", f"job={job}", "StartTime=now"], check=True)


def _state(job: str) -> str:
    shown = subprocess.run(["squeue", "-h", "-j", job, "-o", "%T"], capture_output=True, text=True, check=False)
    return shown.stdout.strip()


@contextlib.contextmanager
def _running(command: list[str], folder: Path) -> Iterator[None]:
    program = shutil.which(command[0])
    with (folder / f"{command[0]}.out").open("wb") as output:
        process = subprocess.Popen([program, *command[1:]], stdout=output, stderr=output)
    try:
        yield
    finally:
        process.terminate()
        process.wait(20)


def _until_idle(folder: Path, seconds: float = 30.0) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        shown = subprocess.run(["sinfo", "-h", "-o", "%T"], capture_output=True, text=True, check=False)
        if shown.stdout.strip() == "idle":
            return
        time.sleep(0.1)
    raise RuntimeError("".join(path.read_text()[-2000:] for path in folder.glob("*.out")))
