"""The command that checks a certificate; it loads nothing that trains."""

from __future__ import annotations

from pathlib import Path

from onelip.certify import checker
from onelip.experiments.console import say
from onelip.experiments.errors import CommandFailedError, UserError
from onelip.experiments.progress import work_bar


def verify(path: str) -> None:
    """Prove a certificate again from its files.

    Args:
        path: A certificate, or the folder that holds one.

    Raises:
        UserError: If there is no certificate.
        CommandFailedError: If it does not hold.
    """
    file = Path(path) / "certificate.json" if Path(path).is_dir() else Path(path)
    if not file.is_file():
        raise UserError(f"{file} does not exist; write one with: onelip certify RUN")
    with work_bar("verifying") as progress:
        verification = checker.verify(file, progress=progress)
    if not verification.ok:
        raise CommandFailedError(f"{file} does not hold: {verification}", 1)
    say(*verification.messages)
