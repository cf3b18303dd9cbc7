"""The outcome of one check of the machine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from typing_extensions import override

Status = Literal["ok", "warn", "broken"]


@dataclass(frozen=True)
class Check:
    """What one check found.

    Attributes:
        name: What was checked.
        status: "ok", "warn" where something should be known or is missing, "broken" where results are wrong.
        detail: What was measured.
        advice: What to do about it; empty if all is well.
    """

    name: str
    status: Status
    detail: str
    advice: str = ""

    @property
    def ok(self) -> bool:
        """Is nothing broken?"""
        return self.status != "broken"

    @override
    def __str__(self) -> str:
        line = f"{self.status:<6}  {self.name}: {self.detail}"
        return f"{line}\n        -> {self.advice}" if self.advice else line


def format_checks(checks: Sequence[Check]) -> str:
    """Write checks as text.

    Args:
        checks: The checks.

    Returns:
        One line for each, advice below it, and a summary at the end.
    """
    counts = {status: sum(check.status == status for check in checks) for status in ("ok", "warn", "broken")}
    summary = f"{counts['ok']} ok, {counts['warn']} to know about, {counts['broken']} broken"
    return "\n".join([*map(str, checks), summary])
