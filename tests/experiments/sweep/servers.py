"""Servers that tests start for themselves, on free ports, and stop; without their programs the tests are skipped."""

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


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def wait_for_port(port: int, process: subprocess.Popen[bytes], log: Path, seconds: float = 30.0) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.02)
    raise RuntimeError(f"nothing listens at port {port}: {log.read_text()}")


@contextlib.contextmanager
def started(command: list[str], port: int, log: Path, **options: object) -> Iterator[None]:
    """Run a server until the end of the block."""
    with log.open("wb") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file, **options)
    try:
        wait_for_port(port, process, log)
        yield
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextlib.contextmanager
def redis_server(folder: Path) -> Iterator[str]:
    """A server of Redis that keeps nothing; its URL."""
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("redis-server is not installed (Debian: apt-get install redis-server)")
    port = free_port()
    command = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--requirepass", "se@cret"]
    with started([*command, "--dir", str(folder)], port, folder / "redis.log"):
        yield f"redis://:se%40cret@127.0.0.1:{port}/0"


def _postgresql_programs() -> Path:
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    found = shutil.which("initdb") or (str(installed[-1]) if installed else None)
    if found is None:
        pytest.skip("PostgreSQL's initdb is not installed (Debian: apt-get install postgresql)")
    return Path(found).parent


@contextlib.contextmanager
def postgresql_server() -> Iterator[str]:
    """A server of PostgreSQL with the database `studies`; its URL."""
    programs = _postgresql_programs()
    # It refuses to run as root, and needs a folder whose parents its user may enter.
    user = {"user": "postgres", "group": "postgres", "extra_groups": []} if os.geteuid() == 0 else {}
    port = free_port()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "password").write_text("se@cret")
        if user:
            shutil.chown(folder, "postgres")
            shutil.chown(folder / "password", "postgres")
        place = {"cwd": folder, **user}
        create = ["initdb", "-D", "data", "-U", "owner", "--pwfile=password", "-A", "scram-sha-256", "--no-sync"]
        subprocess.run([programs / create[0], *create[1:]], check=True, capture_output=True, **place)
        options = ["-p", str(port), "-h", "127.0.0.1", "-k", "", "-c", "fsync=off", "-c", "shared_buffers=8MB"]
        with started([str(programs / "postgres"), "-D", "data", *options], port, folder / "log", **place):
            yield f"postgresql://owner:se%40cret@127.0.0.1:{port}/postgres"
