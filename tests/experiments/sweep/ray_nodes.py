"""A Ray cluster of two machines, both of them this one, started for a test as people start it: with `ray start`."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.experiments.sweep.servers import free_port

# A machine that does not answer for 1.5 s is lost; after the 25 s that are usual, tests would time out.
_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_health_check_initial_delay_ms": "500",
    "RAY_health_check_period_ms": "500",
    "RAY_health_check_timeout_ms": "5000",
    "RAY_health_check_failure_threshold": "3",
}


@dataclass(frozen=True)
class RayNodes:
    """Addresses of the cluster, and the process whose group is its second machine."""

    address: str
    client_address: str
    second: subprocess.Popen[bytes]

    def kill_second(self) -> None:
        os.killpg(self.second.pid, signal.SIGKILL)
        self.second.wait()


@contextlib.contextmanager
def ray_nodes() -> Iterator[RayNodes]:
    """Run head and second machine with one processor each until the end of the block."""
    ray = Path(sys.executable).with_name("ray")
    port, client_port = free_port(), free_port()
    with tempfile.TemporaryDirectory(prefix="ray") as name, contextlib.ExitStack() as stack:
        # Objects are kept in a folder, as /dev/shm may be small.
        memory = [f"--plasma-directory={name}", "--object-store-memory=80000000"]
        common = ["--block", "--num-cpus=1", "--disable-usage-stats", *memory]
        place = [f"--port={port}", f"--ray-client-server-port={client_port}", f"--temp-dir={name}"]
        head = [str(ray), "start", "--head", "--include-dashboard=false", *place, *common]
        stack.enter_context(_running(head, Path(name) / "head.out"))
        second = [str(ray), "start", f"--address=127.0.0.1:{port}", *common]
        process = stack.enter_context(_running(second, Path(name) / "second.out"))
        yield RayNodes(f"127.0.0.1:{port}", f"ray://127.0.0.1:{client_port}", process)


@contextlib.contextmanager
def _running(command: list[str], output: Path, seconds: float = 60.0) -> Iterator[subprocess.Popen[bytes]]:
    with output.open("wb") as file:
        process = subprocess.Popen(
            command, stdout=file, stderr=file, env={**os.environ, **_ENVIRONMENT}, start_new_session=True
        )
    try:
        until = time.monotonic() + seconds
        while "Ray runtime started" not in output.read_text():
            if process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"Ray did not start: {output.read_text()}")
            time.sleep(0.1)
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
