"""Signals during a training: a stop between two batches, where nothing is half done."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.utilities.exceptions import SIGTERMException
from typing_extensions import override

from onelip.experiments.processes import largest
from onelip.layers.batch_statistics import several_processes


class Interruption(pl.Callback):
    """Stop a training at the next batch after Ctrl-C; at once at the second one.

    Python raises KeyboardInterrupt between any two of its instructions: inside of a lock that a writer's thread waits
    for, the process may then never end. Here the first signal is only noted, and raised where no lock is held.

    Processes that train together all stop at the same batch after a signal to one of them, also after SIGTERM, which
    Lightning answers in one process.
    """

    def __init__(self) -> None:
        self._asked = 0

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
            self._raise_if_asked()
            return

        def note(number: int, frame: FrameType | None) -> None:
            self._asked = signal.SIGINT
            signal.signal(signal.SIGINT, signal.default_int_handler)

        self._asked = 0
        signal.signal(signal.SIGINT, note)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)
        self._raise_if_asked()

    @override
    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if several_processes() and threading.current_thread() is threading.main_thread():
            # In place of Lightning's, which talks to the other processes while these may talk of something else;
            # Lightning puts back what was there before it.
            signal.signal(signal.SIGTERM, self._note_sigterm)

    def _note_sigterm(self, number: int, frame: FrameType | None) -> None:
        self._asked = signal.SIGTERM

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
        self._asked = int(largest(self._asked))
        number, self._asked = self._asked, 0
        if number == signal.SIGTERM:
            raise SIGTERMException
        if number == signal.SIGINT:
            raise KeyboardInterrupt
