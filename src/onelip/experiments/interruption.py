"""Ctrl-C during a training: a stop between two batches, where nothing is half done."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import lightning.pytorch as pl
from typing_extensions import override


class Interruption(pl.Callback):
    """Stop a training at the next batch after Ctrl-C; at once at the second one.

    Python raises KeyboardInterrupt between any two of its instructions: inside of a lock that a writer's thread waits
    for, the process may then never end. Here the first signal is only noted, and raised where no lock is held.
    """

    def __init__(self) -> None:
        self._asked = False

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Take over SIGINT inside the block, in the main thread, and unless it is ignored.

        Yields:
            Nothing.

        Raises:
            KeyboardInterrupt: At the end of the block, if a signal came after the last batch.
        """
        before = signal.getsignal(signal.SIGINT)
        if threading.current_thread() is not threading.main_thread() or before is signal.SIG_IGN:
            yield
            return

        def note(number: int, frame: FrameType | None) -> None:
            self._asked = True
            signal.signal(signal.SIGINT, signal.default_int_handler)

        self._asked = False
        signal.signal(signal.SIGINT, note)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)
        self._raise_if_asked()

    @override
    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        self._raise_if_asked()

    @override
    def on_validation_batch_start(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        self._raise_if_asked()

    def _raise_if_asked(self) -> None:
        if self._asked:
            self._asked = False
            raise KeyboardInterrupt
