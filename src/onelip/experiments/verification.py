"""The command that checks a certificate; it loads nothing that trains."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from onelip.certify import checker
from onelip.experiments.console import say
from onelip.experiments.errors import CommandFailedError, UserError
from onelip.experiments.progress import work_bar


def verify(path: str, *, paranoid: bool = False, samples: int | None = None) -> None:
    """Prove a certificate again from its files.

    Args:
        path: A certificate, or the folder that holds one.
        paranoid: Prove it once more, in ball arithmetic?
        samples: How many samples that is to confirm; None for as many as about a minute allows.

    Raises:
        UserError: If there is no certificate, or `paranoid` without python-flint, or `samples` without `paranoid`.
        CommandFailedError: If it does not hold, or something is not confirmed.
    """
    if samples is not None and not paranoid:
        raise UserError(f"samples={samples} counts only with --paranoid; without it, every sample is verified")
    if paranoid and importlib.util.find_spec("flint") is None:
        raise UserError("--paranoid needs python-flint; install it with: pip install 'onelip[rigorous]'")
    file = Path(path) / "certificate.json" if Path(path).is_dir() else Path(path)
    if not file.is_file():
        raise UserError(f"{file} does not exist; write one with: onelip certify RUN")
    with work_bar("verifying") as progress:
        verification = checker.verify(file, progress=progress)
    if not verification.ok:
        raise CommandFailedError(f"{file} does not hold: {verification}", 1)
    say(*verification.messages)
    if paranoid:
        _confirm(file, samples)


def _confirm(file: Path, samples: int | None) -> None:
    # Here, because it needs python-flint.
    from onelip.certify.paranoid import confirm

    with work_bar("confirming in balls") as progress:
        confirmation = confirm(file, samples, progress=progress)
    if not confirmation.ok:
        raise CommandFailedError(f"{file} holds in float64, but {confirmation}", 1)
    say(*confirmation.messages)
