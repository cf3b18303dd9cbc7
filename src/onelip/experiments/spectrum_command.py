"""The command `onelip spectrum`."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

from onelip.experiments.console import say
from onelip.experiments.errors import UserError, as_user_errors
from onelip.experiments.files import write_text_atomically
from onelip.experiments.progress import work_bar
from onelip.experiments.run_folder import RunFolder
from onelip.experiments.subject import Subject, load_subject
from onelip.linalg import unknown_name
from onelip.spectral import Spectrum, spectrum

FORMATS: dict[str, Callable[[Spectrum], str]] = {
    "table": lambda found: f"{found}\n",
    "md": Spectrum.to_markdown,
    "csv": Spectrum.csv_text,
    "json": Spectrum.json_text,
}
"""The ways to write a spectrum down."""

_PICTURES = (".png", ".svg", ".pdf")


def show_spectrum(
    place: str,
    *,
    k: int,
    joint: bool,
    input_shape: str | None,
    weights: str | None,
    format_name: str | None,
    out: str | None,
) -> None:
    """Measure a network's layers and print or write the table; a run keeps it, and a picture, in its folder.

    Args:
        place: The folder of a run, or "package.module:factory".
        k: How many singular values of each layer.
        joint: Take a convolution and the batch normalisation behind it as one.
        input_shape: As of `load_subject`.
        weights: As of `load_subject`.
        format_name: A key of `FORMATS`; None for what the ending of `out` says, or a table.
        out: File to write instead of printing; a picture if it ends in .png, .svg or .pdf.

    Raises:
        UserError: If an option is wrong, or a file cannot be written.
    """
    path = None if out is None else writable_file(out)
    write = _format(format_name, path)
    if ":" not in place:
        _check_writable(place)
    subject = load_subject(place, input_shape=input_shape, weights=weights)
    found = measure(subject, k, joint=joint)
    if path is None:
        sys.stdout.write(write(found))
    elif path.suffix in _PICTURES:
        found.plot(path)
    else:
        write_text_atomically(path, write(found))
    written = [] if path is None else [path]
    if subject.folder is not None:
        written += _keep(found, subject.folder)
    if path is not None or write is FORMATS["table"]:
        say(*(f"written: {file}" for file in written))


def measure(subject: Subject, k: int = 1, *, joint: bool = False) -> Spectrum:
    """Find the singular values of a network's layers, with a bar.

    Args:
        subject: The network.
        k: How many of each layer.
        joint: Take a convolution and the batch normalisation behind it as one.

    Returns:
        The spectrum.
    """
    with as_user_errors(), work_bar("measuring layers") as progress:
        return spectrum(subject.network, subject.input_shape, k, joint=joint, progress=progress)


def writable_file(name: str) -> Path:
    """Refuse a file that cannot be written, before minutes of work and not after.

    Args:
        name: Its path.

    Returns:
        The path.

    Raises:
        UserError: If its folder is missing or cannot be written, or it is a folder.
    """
    path = Path(name)
    if not path.parent.is_dir():
        raise UserError(f"{path.parent}: no such folder, so {path.name} cannot be written there")
    if path.is_dir() or not os.access(path.parent, os.W_OK):
        raise UserError(f"{path} cannot be written")
    return path


def _check_writable(place: str) -> None:
    if Path(place).is_dir():
        RunFolder(Path(place)).check_writable()


def _format(name: str | None, path: Path | None) -> Callable[[Spectrum], str]:
    if name is not None and path is not None and path.suffix in _PICTURES:
        raise UserError(f"--format={name} does not go with a picture, {path}")
    if name is None:
        ending = "" if path is None else path.suffix.removeprefix(".")
        name = ending if ending in FORMATS else "table"
    if name not in FORMATS:
        raise UserError(unknown_name("format", name, FORMATS))
    return FORMATS[name]


def _keep(found: Spectrum, folder: RunFolder) -> list[Path]:
    picture = folder.path / "spectrum.png"
    found.to_csv(folder.spectrum_file)
    if not found.rows:
        return [folder.spectrum_file]
    found.plot(picture)
    return [folder.spectrum_file, picture]
