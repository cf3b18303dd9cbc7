"""The file that a conversion writes: what differs as comments on top, checked by our own loader before it is there."""

from __future__ import annotations

import tempfile
import textwrap
from pathlib import Path
from typing import Any

from onelip.experiments.config_file import load_any_config
from onelip.experiments.convert.conversion import Conversion, to_yaml
from onelip.experiments.errors import UserError, as_user_errors
from onelip.files import write_text_atomically

_WIDTH = 118


def write_conversion(conversion: Conversion, out: Path, source: str) -> None:
    """Write a configuration or a sweep.

    Args:
        conversion: What is written.
        out: A file that is not there yet.
        source: Name of the file that it was converted from.

    Raises:
        UserError: If the file exists, or the configuration is not one of ours.
    """
    if out.exists():
        raise UserError(f"{out} exists already; give another file by --out")
    check_conversion(conversion)
    with as_user_errors():
        out.parent.mkdir(parents=True, exist_ok=True)
        write_text_atomically(out, header(conversion, source) + to_yaml(conversion.tree))


def check_conversion(conversion: Conversion) -> None:
    """Check a configuration by the loader that reads it later; that of each level of a sweep's factors, too.

    Args:
        conversion: The configuration or sweep.

    Raises:
        UserError: If something in it is wrong.
    """
    with tempfile.TemporaryDirectory() as folder:
        draft = Path(folder) / "converted.yaml"
        for tree in conversion.examples():
            sweep: dict[str, Any] = tree.pop("sweep", {})
            for changes in _levels(sweep.get("factors", {})):
                draft.write_text(to_yaml({**tree, **changes}), "utf-8")
                load_any_config(str(draft))


def _levels(factors: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [{}]
    for name, levels in factors.items():
        found += list(levels.values()) if isinstance(levels, dict) else [{name: level} for level in levels]
    return found


def header(conversion: Conversion, source: str) -> str:
    """Write what a user has to know as comments.

    Args:
        conversion: The conversion.
        source: Name of the file that it was converted from.

    Returns:
        Lines that begin with "# ".
    """
    lines = [f"Converted from {source}."]
    for note in conversion.notes:
        lines += textwrap.wrap(note, _WIDTH, subsequent_indent="  ", break_long_words=False)
    return "".join(f"# {line}\n" for line in lines)
