"""A storage that may be away for some minutes, as a server is that is started again: calls wait for it to come back."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import Any

from onelip.experiments.console import say
from onelip.experiments.errors import one_line
from onelip.experiments.sweep.optuna_library import optuna

PATIENCE_SECONDS = 900.0
"""How long a call waits; what a trial has come to is lost only if the storage is away for longer."""

_PAUSES = (0.5, 1.0, 2.0, 5.0, 10.0)
"""Seconds between two tries; the last again and again."""


class PatientStorage:
    """Any of Optuna's storages; calls that its server or file refuses are made again.

    Args:
        storage: The storage.
        patience: Seconds after which the error is raised.
        pause: Waits so many seconds.
    """

    def __init__(
        self, storage: Any, patience: float = PATIENCE_SECONDS, pause: Callable[[float], None] = time.sleep
    ) -> None:
        self._storage = storage
        self._patience = patience
        self._pause = pause

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._storage, name)

        def call(*arguments: Any, **options: Any) -> Any:
            until = time.monotonic() + self._patience
            n_tries = 0
            while True:
                try:
                    return method(*arguments, **options)
                except _away() as error:
                    if time.monotonic() >= until:
                        raise
                    if n_tries == 0:
                        say(f"the study cannot be reached, and is tried again: {one_line(str(error))[:200]}")
                    self._pause(_PAUSES[min(n_tries, len(_PAUSES) - 1)])
                    n_tries += 1

        return call


# What Optuna makes of SQLAlchemy's errors; and those of Redis and of files, which it passes on.
def _away() -> tuple[type[BaseException], ...]:
    kinds: list[type[BaseException]] = [optuna().exceptions.StorageInternalError, OSError]
    with contextlib.suppress(ModuleNotFoundError):
        from sqlalchemy.exc import DBAPIError

        kinds.append(DBAPIError)
    with contextlib.suppress(ModuleNotFoundError):
        from redis.exceptions import RedisError

        kinds.append(RedisError)
    return tuple(kinds)
