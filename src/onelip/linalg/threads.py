"""Fewer threads for work that more threads slow down."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def one_thread(when: bool = True) -> Iterator[None]:
    """Let torch compute in one thread, and give back the others.

    Thousands of factorisations of small matrices take longer in two threads than in one, as threads wait for each other
    after each. Results do not depend on it, but for the order of summation.

    Args:
        when: If false, nothing changes.

    Yields:
        Nothing.
    """
    threads = torch.get_num_threads()
    if when and threads > 1:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        if torch.get_num_threads() != threads:
            torch.set_num_threads(threads)
