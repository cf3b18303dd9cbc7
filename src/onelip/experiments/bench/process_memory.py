"""The memory of a process, as the operating system counts it."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

_STATUS = Path("/proc/self/status")


def resident_bytes() -> int:
    """Ask how much memory this process holds.

    Returns:
        Bytes; where the system does not tell, the most that it has held so far.
    """
    return _line("VmRSS") or _most()


def peak_resident_bytes() -> int:
    """Ask how much memory this process has held at most.

    Returns:
        Bytes.
    """
    # The counter of resources begins with that of the process which started this one.
    return _line("VmHWM") or _most()


def _line(name: str) -> int | None:
    if not _STATUS.exists():
        return None
    values = (line.split() for line in _STATUS.read_text("ascii", "replace").splitlines())
    return next((1024 * int(words[1]) for words in values if words and words[0] == f"{name}:"), None)


def _most() -> int:
    kilobytes = 1 if sys.platform == "darwin" else 1024
    return kilobytes * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
