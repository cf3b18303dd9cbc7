"""Work that needs no training: numbers are claimed through files, and take a moment each."""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import time
from dataclasses import dataclass
from pathlib import Path

from onelip.experiments.sweep.work import Work


@dataclass(frozen=True)
class Claiming(Work):
    """Finish `numbers` numbers, each by one worker; those of a dead worker are taken over, as trials are.

    Attributes:
        numbers: How many.
        seconds: What each takes.
    """

    numbers: int = 6
    seconds: float = 0.5

    def __call__(self) -> int:
        folder = Path(self.folder)
        n_finished = 0
        while left := [n for n in range(self.numbers) if not (folder / f"{n}.done").exists()]:
            n_finished += sum(self._finish(folder, number) for number in left)
            time.sleep(0.05)
        return n_finished

    def _finish(self, folder: Path, number: int) -> bool:
        with (folder / f"{number}.lease").open("a") as lease:
            try:
                fcntl.flock(lease, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            if (folder / f"{number}.done").exists():
                return False
            lease.write(f"{socket.gethostname()} {os.getpid()}\n")
            lease.flush()
            time.sleep(self.seconds)
            (folder / f"{number}.done").write_text(str(os.getpid()))
        return True


@dataclass(frozen=True)
class Failing(Work):
    def __call__(self) -> int:
        raise ValueError("no such layer")


@dataclass(frozen=True)
class Waiting(Work):
    """Wait to be stopped, as after Ctrl-C."""

    def __call__(self) -> int:
        (Path(self.folder) / "waiting").touch()
        try:
            # Ray's interrupt ends no sleep.
            for _ in range(6000):
                time.sleep(0.1)
        except KeyboardInterrupt:
            (Path(self.folder) / "interrupted").touch()
            raise
        return 0


def workers_of(folder: Path) -> dict[int, list[int]]:
    """The processes that began each number, in order."""
    found = {}
    with contextlib.suppress(FileNotFoundError):
        for lease in folder.glob("*.lease"):
            found[int(lease.stem)] = [int(line.split()[1]) for line in lease.read_text().splitlines()]
    return dict(sorted(found.items()))
