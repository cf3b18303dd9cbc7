"""Run a function in a process of its own, whose memory is its alone and which may be killed."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any, TypeVar

from onelip.experiments.errors import one_line

R = TypeVar("R")

_IMPORTED = ("onelip.experiments.bench.cell", "onelip.experiments.bench.epoch_time")
"""What the process has imported that all others are forked from."""


class OwnProcessError(RuntimeError):
    """The function raised, or its process was killed; the message is one sentence."""


def in_own_process(function: Callable[..., R], *arguments: Any) -> R:
    """Call a function in a new process, that is forked from one which has imported this package and done nothing.

    Args:
        function: A function of a module.
        *arguments: Its arguments.

    Returns:
        What it returns.

    Raises:
        OwnProcessError: If it raises, or its process ends before it returns.
    """
    context: Any = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(_IMPORTED))
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_run, args=(sender, function, arguments), daemon=True)
    process.start()
    sender.close()
    try:
        done, value = receiver.recv()
    except EOFError:
        process.join()
        raise OwnProcessError(_ending(process.exitcode)) from None
    finally:
        receiver.close()
        # Nothing is left to do for it, unless this process was interrupted.
        process.kill()
        process.join()
    if not done:
        raise OwnProcessError(value)
    result: R = value
    return result


def _run(sender: Connection, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    # Who pressed Ctrl-C is told by the process that waits, which ends this one.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        value = function(*arguments)
    # Whatever it is belongs to the process that waits.
    except Exception as error:
        sender.send((False, f"{type(error).__name__}: {one_line(str(error))}"))
    else:
        sender.send((True, value))


def _ending(code: int | None) -> str:
    if code == -signal.SIGKILL:
        return "the process was killed, most likely for want of memory"
    if code is not None and code < 0:
        return f"the process was ended by signal {-code}"
    return f"the process ended with exit code {code}"
