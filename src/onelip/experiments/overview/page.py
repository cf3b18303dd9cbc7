"""Write the page over many runs: one file that opens from disk without a network."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import onelip
from onelip.experiments.errors import UserError, as_user_errors
from onelip.experiments.files import write_text_atomically
from onelip.experiments.overview.data import json_text, overview_data
from onelip.pictures import RadarPlot

if TYPE_CHECKING:
    from onelip.experiments.collection.rows import RunRow

MOST_CURVES = 1000
"""Curves of so many runs are in the page; those of 10,000 would make it larger than browsers like."""

MARK = '<meta name="generator" content="onelip overview'
"""What tells such a page from other files."""

_HEAD = 2000
_SCRIPTS = ("columns.js", "charts.js", "figures.js", "table.js", "overview.js")


def write_overview(
    rows: Sequence[RunRow],
    path: str | Path,
    *,
    title: str = "Runs",
    radar: RadarPlot | None = None,
    most_curves: int = MOST_CURVES,
) -> Path:
    """Write one page over many runs.

    Args:
        rows: The runs, such as `onelip.experiments.collection.collect` finds; at least one.
        path: Where. A page of this kind is replaced, and no other file.
        title: The heading.
        radar: Scores to be drawn, or None.
        most_curves: Curves of at most so many runs are in the page.

    Returns:
        The path.

    Raises:
        UserError: If there is another file, or the folder cannot be written.
    """
    path = Path(path)
    check_replaceable(path)
    with as_user_errors():
        write_text_atomically(path, render(rows, path.parent, title=title, radar=radar, most_curves=most_curves))
    return path


def check_replaceable(path: Path) -> None:
    """Refuse to replace what is no such page.

    Args:
        path: Where a page is to be written.

    Raises:
        UserError: If there is something else, or no folder for it.
    """
    if path.is_dir():
        raise UserError(f"--out {path} is a folder; name a file in it, such as {path / 'overview.html'}")
    if not path.parent.is_dir():
        raise UserError(f"{path.parent} is no folder, and --out {path} would be written there")
    if path.exists() and not is_overview(path):
        raise UserError(f"{path} is there, and is no page over runs by onelip; name another file with --out")


def is_overview(path: Path) -> bool:
    """Tell such a page from other files.

    Args:
        path: A file.

    Returns:
        Whether it was written by `write_overview`.
    """
    with path.open("rb") as file:
        return MARK.encode() in file.read(_HEAD)


def render(
    rows: Sequence[RunRow],
    folder: Path,
    *,
    title: str = "Runs",
    radar: RadarPlot | None = None,
    most_curves: int = MOST_CURVES,
) -> str:
    """Write the page as text.

    Args:
        rows: The runs.
        folder: Where the page will be, for links to the pages of runs.
        title: The heading.
        radar: Scores to be drawn, or None.
        most_curves: Curves of at most so many runs are in the page.

    Returns:
        HTML.
    """
    drawn = None if radar is None else radar.as_data()
    data = overview_data(rows, folder, most_curves=most_curves, radar=drawn)
    counts = {status: sum(row.status == status for row in rows) for status in ("finished", "failed", "unfinished")}
    return str(
        _template().render(
            title=title,
            n=len(rows),
            counts=counts | {"pruned": sum(row.status == "pruned" for row in rows)},
            version=onelip.__version__,
            css=_raw(_asset("onelip.experiments.report", "report.css") + "\n" + _own("overview.css")),
            js=_raw("\n".join(map(_own, _SCRIPTS))),
            # Escaped already, in a way that HTML's own escapes would break.
            data=_raw(json_text(data)),
        )
    )


@cache
def _template() -> Any:
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(_own("overview.html.j2"))


def _own(name: str) -> str:
    return _asset(__package__, name)


def _asset(package: str, name: str) -> str:
    return (files(package) / "templates" / name).read_text("utf-8").strip()


def _raw(text: str) -> Any:
    from markupsafe import Markup

    return Markup(text)  # noqa: S704
