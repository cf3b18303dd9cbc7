"""The error of the checker."""

from __future__ import annotations


class VerificationError(ValueError):
    """A certificate does not hold, or its files are not what they should be.

    Args:
        message: One sentence.
    """
