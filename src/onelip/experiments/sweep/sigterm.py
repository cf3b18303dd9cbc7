"""SIGTERM while workers are at work."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

from onelip.experiments.errors import CommandFailedError


@contextlib.contextmanager
def stopping_on_sigterm() -> Iterator[None]:
    """End the block on SIGTERM as Ctrl-C would; what the signal did before, it does again afterwards.

    Only the main thread hears signals: in any other one nothing changes.

    Raises:
        CommandFailedError: The signal came; its exit code is 128 + 15.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, _raise)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _raise(number: int, frame: FrameType | None) -> None:
    raise CommandFailedError("stopped", 128 + number)
