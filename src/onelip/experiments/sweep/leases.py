"""Who runs which trial: lease files in the sweep's folder, at most one of them alive for each trial.

A worker holds its lease file locked as long as it lives; the operating system unlocks it however the process ends. So
on one machine a dead worker is known at once. On another machine, whose file system may not pass locks on, a lease
counts as dead if it is unlocked and has not been touched for some time besides.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import socket
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

BEAT_SECONDS = 15.0
"""How often a lease is touched."""

PATIENCE_SECONDS = 120.0
"""How long a lease of another machine must have been untouched; file attributes of NFS may be a minute old."""


def this_machine() -> str:
    """Name this machine as long as it is not started anew.

    Returns:
        An identifier of the running kernel, or the host's name.
    """
    boot = Path("/proc/sys/kernel/random/boot_id")
    return boot.read_text("ascii").strip() if boot.exists() else socket.gethostname()


class Lease:
    """The right to run a trial, until it is released, or the process ends.

    Attributes:
        generation: How many workers have had it, this one included; all before have died.

    Args:
        path: The file.
        handle: Its descriptor, locked.
        generation: See above.
    """

    def __init__(self, path: Path, handle: int, generation: int) -> None:
        self.generation = generation
        self._path = path
        self._handle = handle
        self._over = threading.Event()

    @property
    def held(self) -> bool:
        """Has no other worker taken the trial over?"""
        following = self._path.with_suffix(f".{self.generation + 1}")
        return self._path.exists() and not following.exists()

    def keep_alive(self, lost: Callable[[], None], every: float = BEAT_SECONDS) -> None:
        """Touch the file from now on, in a thread, and watch whether another worker has taken the trial over.

        Args:
            lost: Called once if that happens, as it may to a worker that was stopped for minutes.
            every: Seconds between two touches.
        """

        def beat() -> None:
            while not self._over.wait(every):
                if not self.held:
                    # Neither is it there after it was given up.
                    if not self._over.is_set():
                        lost()
                    return
                with contextlib.suppress(OSError):
                    os.utime(self._path)

        threading.Thread(target=beat, daemon=True, name="lease").start()

    def release(self, *, done: bool) -> None:
        """Give it up.

        Args:
            done: Has the trial ended? Then nobody will need its leases any more.
        """
        self._over.set()
        if done:
            for path in self._path.parent.glob(f"{self._path.stem}.*"):
                path.unlink(missing_ok=True)
        os.close(self._handle)

    def withdraw(self) -> None:
        """Give it up as if it had never been taken: the trial is stopped, and its worker has not died."""
        self._over.set()
        self._path.unlink(missing_ok=True)
        os.close(self._handle)


class Leases:
    """The leases of one stage of a sweep.

    Args:
        folder: Where their files are, on a file system that all workers share.
        patience: Seconds, see the module.
    """

    def __init__(self, folder: Path, patience: float = PATIENCE_SECONDS) -> None:
        self._folder = folder
        self._patience = patience
        self._machine = this_machine()
        self._seen: dict[Path, tuple[int, float]] = {}
        folder.mkdir(parents=True, exist_ok=True)

    def claim(self, number: int) -> Lease | None:
        """Take a trial, if nobody has it, or whoever had it has died.

        Args:
            number: The trial's.

        Returns:
            The lease; None if another worker lives, or was quicker.
        """
        generation = max((int(p.suffix[1:]) for p in self._folder.glob(f"{number:04d}.*")), default=0)
        if generation and not self._dead(self._folder / f"{number:04d}.{generation}"):
            return None
        return self._create(self._folder / f"{number:04d}.{generation + 1}", generation + 1)

    # It is locked before it has its name, so nobody ever sees it unlocked while its owner lives.
    def _create(self, path: Path, generation: int) -> Lease | None:
        handle, name = tempfile.mkstemp(prefix=".new-", dir=self._folder)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            owner = {"machine": self._machine, "host": socket.gethostname(), "pid": os.getpid()}
            os.write(handle, json.dumps(owner).encode())
            # A process that trains for this one has it, too, and keeps it locked until both have ended.
            os.set_inheritable(handle, True)
            path.hardlink_to(name)
        except FileExistsError:
            os.close(handle)
            return None
        finally:
            Path(name).unlink(missing_ok=True)
        return Lease(path, handle, generation)

    def _dead(self, path: Path) -> bool:
        try:
            # For writing, without which NFS has no exclusive locks.
            with path.open("r+b") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                touched, owner = os.fstat(file.fileno()).st_mtime_ns, _owner(file.read())
        except (BlockingIOError, FileNotFoundError):
            self._seen.pop(path, None)
            return False
        if owner.get("machine") == self._machine:
            return True
        # By this machine's clock alone: those of two machines may differ.
        before, since = self._seen.setdefault(path, (touched, time.monotonic()))
        if before != touched:
            self._seen[path] = touched, time.monotonic()
            return False
        return time.monotonic() - since >= self._patience


def _owner(text: bytes) -> dict[str, Any]:
    try:
        owner = json.loads(text)
    except ValueError:
        return {}
    return owner if isinstance(owner, dict) else {}
