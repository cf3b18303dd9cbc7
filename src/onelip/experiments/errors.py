"""The error that a user's mistake becomes: one sentence, no traceback."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class UserError(Exception):
    """A mistake in what the user gave, or in the files it names; the message is one sentence."""


class CommandFailedError(Exception):
    """A command did its work and the outcome is a failure; the message is one sentence."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


@contextmanager
def as_user_errors() -> Iterator[None]:
    """Turn the errors that the library raises for bad arguments and bad files into `UserError`.

    Meant for the steps that run before anything is written: reading configurations and data, building models.

    Yields:
        Nothing.

    Raises:
        UserError: If the body raises ValueError or OSError.
    """
    try:
        yield
    except OSError as error:
        raise UserError(describe_os_error(error)) from error
    except ValueError as error:
        raise UserError(one_line(str(error))) from error


def describe_os_error(error: OSError) -> str:
    """Say what the operating system refused.

    Args:
        error: The error.

    Returns:
        One sentence with the path, where the error has one.
    """
    if error.filename is None or error.strerror is None:
        return one_line(str(error))
    return f"{error.filename}: {error.strerror[0].lower()}{error.strerror[1:]}"


def one_line(text: str) -> str:
    """Join the lines of a message.

    Args:
        text: Any text.

    Returns:
        The same words on one line.
    """
    return " ".join(text.split())
