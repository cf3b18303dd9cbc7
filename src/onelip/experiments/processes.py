"""Several processes that run one command together: joined, in step, and left such that all end with exit code 0."""

from __future__ import annotations

import contextlib
import gc
import os
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import torch
from torch import distributed

from onelip.experiments.child_processes import ChildProcesses, end_with_the_first
from onelip.experiments.config_trainer import Trainer
from onelip.experiments.errors import CommandFailedError, UserError
from onelip.experiments.process_plan import STARTED_BY_US, ProcessPlan, plan_processes
from onelip.layers.batch_statistics import several_processes

Result = TypeVar("Result")

_PATIENCE = timedelta(hours=12)
"""How long a process waits for another, which may be decoding a data set or measuring norms."""

_NOTICE_SECONDS = 5.0
"""Between the end of a process, which others see as a broken connection, and its exit code."""

_AGREED = (CommandFailedError, UserError)
"""Errors that all processes have at the same place."""


@contextmanager
def together(section: Trainer, arguments: Sequence[str]) -> Iterator[ProcessPlan]:
    """Run a block in all processes that a configuration asks for; alone, that is this one.

    The first process starts the others where neither torchrun nor Slurm has. The others print nothing but unexpected
    errors, and end with an exit code in place of a user's mistake. The processes part at the end of the block, when
    whatever it has made is garbage: what follows is for the first one alone.

    Args:
        section: The configuration's trainer.
        arguments: The command that the block belongs to, for processes that are started.

    Yields:
        The place of this process.

    Raises:
        CommandFailedError: If another process failed.
        SystemExit: In place of errors that the first process reports.
    """
    plan = plan_processes(section, os.environ)
    if plan.size == 1:
        yield plan
        return
    with contextlib.nullcontext() if plan.first else _silence():
        children = _join(plan, section.process_group_backend, arguments)
        try:
            yield plan
            # The slowest ends the block now, too.
            largest(0.0)
        except BaseException as error:
            _release(error)
            _end_after(error, children)
            if not plan.first and isinstance(error, _AGREED):
                raise SystemExit(getattr(error, "exit_code", 2)) from None
            raise
        _leave()
        failure = None if children is None else children.wait()
        if failure is not None:
            raise failure


def largest(value: float) -> float:
    """Agree on the largest of the numbers that the processes give; nobody goes on before all have given one.

    Args:
        value: This process's.

    Returns:
        The largest, in all processes; the number itself in one.
    """
    if not several_processes():
        return value
    number = torch.tensor(value, dtype=torch.float64)
    distributed.all_reduce(number, op=distributed.ReduceOp.MAX)
    return float(number)


def told(text: str, source: int = 0) -> str:
    """Pass a text on to all processes.

    Args:
        text: What the process that tells it says; of others it does not matter.
        source: Rank of that process.

    Returns:
        The text, in all processes.
    """
    if not several_processes():
        return text
    spoken = torch.tensor(list(text.encode()), dtype=torch.uint8)
    length = torch.tensor(len(spoken))
    distributed.broadcast(length, source)
    heard = spoken if distributed.get_rank() == source else torch.zeros(int(length), dtype=torch.uint8)
    distributed.broadcast(heard, source)
    return bytes(heard.tolist()).decode()


def in_turns(plan: ProcessPlan, work: Callable[[], Result]) -> Result:
    """Work in the first process, then in the first one on each machine, then in all others, such as to fetch data.

    Args:
        plan: The place of this process.
        work: What each does.

    Returns:
        What the work of this process gave.

    Raises:
        UserError: If another process failed, whose message it has.
    """
    turn = 0 if plan.first else 1 if plan.local_rank == 0 else 2
    done: list[Result] = []
    failed: Exception | None = None
    for now in range(3 if plan.size > 1 else 1):
        if now == turn:
            try:
                done.append(work())
            except Exception as error:  # Raised below, after all know of it.
                failed = error
        loser = int(largest(0.0 if failed is None else plan.rank + 1.0))
        if loser:
            message = told(str(failed), loser - 1)
            raise UserError(message) if failed is None else failed
    return done[0]


def _join(plan: ProcessPlan, backend: str, arguments: Sequence[str]) -> ChildProcesses | None:
    backends = _backends(plan, backend)
    if plan.device.startswith("cuda"):
        torch.cuda.set_device(plan.device)
    if plan.launcher == "torchrun":
        # Whose own store it is.
        distributed.init_process_group(backends, timeout=_PATIENCE)
        return None
    if STARTED_BY_US in os.environ:
        end_with_the_first()
    store = distributed.TCPStore(  # type: ignore[attr-defined]  # It is exported.
        plan.address, plan.port, plan.size, plan.first, timeout=timedelta(minutes=10), wait_for_workers=False
    )
    starts = plan.launcher == "ourselves" and plan.first
    children = ChildProcesses(plan, arguments, store.port) if starts else None
    distributed.init_process_group(backends, store=store, rank=plan.rank, world_size=plan.size, timeout=_PATIENCE)
    return children


# Agreements are made on the CPU, where nobody has to wait for a GPU.
def _backends(plan: ProcessPlan, backend: str) -> str:
    on_gpu = plan.device.startswith("cuda")
    if backend == "nccl" and not on_gpu:
        raise UserError("trainer.process_group_backend=nccl joins GPUs, and these processes are on the CPU")
    return "cpu:gloo,cuda:nccl" if on_gpu and backend != "gloo" else "gloo"


def _end_after(error: BaseException, children: ChildProcesses | None) -> None:
    if children is None:
        _leave()
        return
    if isinstance(error, _AGREED):
        _leave()
        children.wait()
        return
    failure = children.failure(_NOTICE_SECONDS if isinstance(error, RuntimeError) else 0.0)
    # Before they see a broken connection, of which they could only complain.
    children.end()
    _leave()
    if failure is not None:
        raise failure from error


# What holds the process group, as DistributedDataParallel does in a cycle of references, has to go before it: else
# one in six processes ends with SIGABRT after all work is done.
def _leave() -> None:
    gc.collect()
    if distributed.is_initialized():
        distributed.destroy_process_group()


# Frames of a traceback hold their local variables.
def _release(error: BaseException | None) -> None:
    while error is not None:
        traceback.clear_frames(error.__traceback__)
        error = error.__cause__ or error.__context__


@contextmanager
def _silence() -> Iterator[None]:
    with (
        Path(os.devnull).open("w", encoding="utf-8") as nowhere,
        contextlib.redirect_stdout(nowhere),
        contextlib.redirect_stderr(nowhere),
    ):
        yield
