"""The further processes of a training on one machine: started, watched and ended by the first one."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence

from onelip.experiments.errors import CommandFailedError
from onelip.experiments.process_plan import STARTED_BY_US, ProcessPlan

_GRACE_SECONDS = 30.0
"""For the first process to notice by itself that another one is gone; one that waits for a GPU never does."""

_END_SECONDS = 120.0
"""For processes that have nothing left to do but to end."""


class ChildProcesses:
    """Processes that run the same command, each with a rank of its own; they end with this process, however it ends.

    Args:
        plan: Of the first process.
        arguments: Of the command `onelip`.
        port: Where the first process listens.
    """

    def __init__(self, plan: ProcessPlan, arguments: Sequence[str], port: int) -> None:
        command = [sys.executable, "-m", "onelip", *arguments]
        self._children = [
            # Nothing is ever written to their input: it ends when this process does.
            subprocess.Popen(command, env=_environment(plan, rank, port), stdin=subprocess.PIPE)  # noqa: S603
            for rank in range(1, plan.local_size)
        ]
        self._over = threading.Event()
        threading.Thread(target=self._watch, daemon=True).start()

    def failure(self, seconds: float) -> CommandFailedError | None:
        """Say which child has failed.

        Args:
            seconds: How long to wait for one to do so.

        Returns:
            The error to raise, or None.
        """
        until = time.monotonic() + seconds
        while True:
            codes = {rank: child.poll() for rank, child in enumerate(self._children, start=1)}
            failed = next((rank for rank, code in codes.items() if code), None)
            if failed is not None:
                size = len(self._children) + 1
                return CommandFailedError(f"process {failed} of {size} ended with exit code {codes[failed]}", 1)
            if time.monotonic() >= until or all(code == 0 for code in codes.values()):
                return None
            time.sleep(0.05)

    def wait(self) -> CommandFailedError | None:
        """Wait until all have ended by themselves, or end them after two minutes.

        Returns:
            What `failure` says of them.
        """
        self._over.set()
        until = time.monotonic() + _END_SECONDS
        for child in self._children:
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(max(0.0, until - time.monotonic()))
        self.end()
        return self.failure(0.0)

    def end(self) -> None:
        """End those that still run."""
        self._over.set()
        for child in self._children:
            if child.poll() is None:
                child.kill()
            child.wait()
            if child.stdin is not None:
                child.stdin.close()

    def _watch(self) -> None:
        while not self._over.wait(1.0):
            failure = self.failure(0.0)
            if failure is not None and not self._over.wait(_GRACE_SECONDS):
                sys.stderr.write(f"onelip: {failure}\n")
                os._exit(failure.exit_code)


def end_with_the_first() -> None:
    """In a child: end as soon as the first process is gone, also while waiting for it."""

    def watch() -> None:
        # Read past Python's buffer, whose lock must be free when the interpreter ends.
        while os.read(0, 1):
            pass
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _environment(plan: ProcessPlan, rank: int, port: int) -> dict[str, str]:
    numbers = {"RANK": rank, "WORLD_SIZE": plan.size, "LOCAL_RANK": rank, "LOCAL_WORLD_SIZE": plan.local_size}
    place = {"MASTER_ADDR": plan.address, "MASTER_PORT": port, STARTED_BY_US: os.getpid()}
    # Torch's own warnings come from the first process already.
    quiet = {"TORCH_CPP_LOG_LEVEL": "ERROR"}
    return {**quiet, **os.environ, **{name: str(value) for name, value in {**numbers, **place}.items()}}
