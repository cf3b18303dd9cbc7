"""Torch's choice between deterministic and faster algorithms, which is one for the whole process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def determinism_kept() -> Iterator[None]:
    """Put torch's settings back after the block: Lightning asks for deterministic algorithms and never takes it back.

    Left on, they would slow down whatever else the process does, and fill all memory that torch hands out.

    Yields:
        Nothing.
    """
    deterministic, benchmark = torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(deterministic, warn_only=warn_only)
        torch.backends.cudnn.benchmark = benchmark
