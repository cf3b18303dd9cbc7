"""What is left unproved, and what is malformed."""

from __future__ import annotations

from onelip.certify.checker.errors import VerificationError
from onelip.certify.checker.network import Step


class NotCoveredError(ValueError):
    """Something that ball arithmetic does not prove here: an unknown kind of claim, or one that would take too long.

    Args:
        message: One sentence.
    """


def require(condition: bool, step: Step, what: str) -> None:
    """Refuse a step whose shapes or options do not fit.

    Args:
        condition: What must hold.
        step: The step.
        what: The complaint.

    Raises:
        VerificationError: If it does not hold.
    """
    if not condition:
        raise VerificationError(f"{step.op} {step.name!r} does not fit: {what}")
