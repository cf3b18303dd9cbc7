"""Workers as processes on this machine, watched by the one that starts them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from onelip.experiments.console import say
from onelip.experiments.errors import CommandFailedError
from onelip.experiments.sweep.sigterm import stopping_on_sigterm
from onelip.experiments.sweep.work import Work

_POLL_SECONDS = 0.5
_END_SECONDS = 60.0
"""For a worker to end its step after a signal."""

_RESTARTS = 3
"""How often, for each worker, a dead one is replaced."""

_USER_MISTAKE = 2


def start_local(work: Work, n_workers: int, watch: Callable[[], None] = lambda: None) -> None:
    """Run workers until no trial is left; one that dies is replaced, and its trial goes on from its checkpoint.

    What they print goes to `logs/worker-K.log` of the sweep. They end when this process does, however it ends. GPUs and
    processor cores are divided among them.

    Args:
        work: What they do.
        n_workers: How many.
        watch: Called about twice a second.

    Raises:
        CommandFailedError: A signal came, or workers keep dying.
        KeyboardInterrupt: Ctrl-C, after the workers have stopped.
    """
    pool = _Pool(work, n_workers)
    with stopping_on_sigterm():
        try:
            while pool.tend():
                watch()
                time.sleep(_POLL_SECONDS)
            watch()
        finally:
            pool.stop()


class _Pool:
    def __init__(self, work: Work, n_workers: int) -> None:
        self._work = work.absolute()
        self._n_workers = n_workers
        self._restarts = _RESTARTS * n_workers
        self._logs = Path(self._work.folder) / "logs"
        self._logs.mkdir(parents=True, exist_ok=True)
        self._workers = {index: self._start(index) for index in range(n_workers)}

    def tend(self) -> bool:
        """Replace workers that have died.

        Returns:
            Are there any at work?

        Raises:
            CommandFailedError: They keep dying.
        """
        for index, worker in list(self._workers.items()):
            code = worker.poll()
            if code is None:
                continue
            _close(self._workers.pop(index))
            if code == 0:
                continue
            log = self._logs / f"worker-{index}.log"
            if code == _USER_MISTAKE or self._restarts == 0:
                raise CommandFailedError(f"worker {index} ended with exit code {code}; its last words are in {log}", 1)
            self._restarts -= 1
            how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
            say(f"worker {index} {how}; another one takes its place")
            self._workers[index] = self._start(index)
        return bool(self._workers)

    def stop(self) -> None:
        """Ask those that are left to stop after their step, and wait."""
        for worker in self._workers.values():
            if worker.poll() is None:
                worker.terminate()
        until = time.monotonic() + _END_SECONDS
        for worker in self._workers.values():
            try:
                worker.wait(max(0.1, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                worker.kill()
                worker.wait()
            _close(worker)

    def _start(self, index: int) -> subprocess.Popen[bytes]:
        module = "onelip.experiments.sweep.worker"
        command = [sys.executable, "-m", module, self._work.folder, self._work.storage, self._work.stage]
        with (self._logs / f"worker-{index}.log").open("ab") as log:
            # Of a session of its own, so that Ctrl-C reaches it once, from here; of its input it sees our end.
            return subprocess.Popen(  # noqa: S603
                command,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=worker_environment(os.environ, index, self._n_workers),
                start_new_session=True,
            )


def _close(worker: subprocess.Popen[bytes]) -> None:
    if worker.stdin is not None:
        worker.stdin.close()


def worker_environment(environment: Mapping[str, str], index: int, n_workers: int) -> dict[str, str]:
    """Divide the machine among workers.

    Args:
        environment: This process's.
        index: Which worker.
        n_workers: How many there are.

    Returns:
        The worker's: a share of the cores, unless OMP_NUM_THREADS says how many, and one GPU in turn, of those that
        CUDA_VISIBLE_DEVICES lists or that there are.
    """
    threads = str(max(1, (os.cpu_count() or 1) // n_workers))
    shared = {"OMP_NUM_THREADS": threads, **environment}
    listed = environment.get("CUDA_VISIBLE_DEVICES")
    gpus = [name for name in listed.split(",") if name] if listed is not None else _gpus()
    return {**shared, "CUDA_VISIBLE_DEVICES": gpus[index % len(gpus)]} if gpus else shared


def _gpus() -> list[str]:
    import torch

    return [str(index) for index in range(torch.cuda.device_count())] if torch.cuda.is_available() else []
