"""The page of a run whose results are a few numbers and pictures: one file that shows everything by itself."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from onelip.files import write_text_atomically

_TYPES = {".png": "image/png", ".gif": "image/gif", ".svg": "image/svg+xml"}


@dataclass(frozen=True)
class Tile:
    """A number at the top of the page.

    Attributes:
        name: What it is.
        value: As text.
        detail: What belongs to it, smaller.
        proved: Is it proved?
    """

    name: str
    value: str
    detail: str = ""
    proved: bool = False


@dataclass(frozen=True)
class Picture:
    """A picture with its heading.

    Attributes:
        title: The heading.
        path: A .png, .gif or .svg file.
        text: What it shows.
    """

    title: str
    path: Path
    text: str


@dataclass(frozen=True)
class PicturedPage:
    """What the page of a run says.

    Attributes:
        title: The run's name.
        subtitle: What it was, and where.
        lead: The result in a sentence.
        tiles: Its numbers.
        pictures: In order.
        rows: Names and values of everything else.
        commands: What can be done with the run, each with what it does.
        config: The configuration as text.
    """

    title: str
    subtitle: str
    lead: str
    tiles: Sequence[Tile] = ()
    pictures: Sequence[Picture] = ()
    rows: Sequence[tuple[str, str]] = ()
    commands: Sequence[tuple[str, str]] = ()
    config: str = ""

    def write(self, path: Path) -> None:
        """Write the page, pictures included, in one step.

        Args:
            path: Where.
        """
        pictures = [(p.title, _embedded(p.path), p.text) for p in self.pictures]
        write_text_atomically(path, str(_template().render(page=self, pictures=pictures, css=_style())))


def _embedded(path: Path) -> str:
    data = base64.b64encode(path.read_bytes()).decode("ascii")
    return f"data:{_TYPES[path.suffix]};base64,{data}"


@cache
def _template() -> Any:
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string((files(__package__) / "templates" / "pictured.html.j2").read_text("utf-8"))


# Our own, which goes in as it is; everything else is escaped.
def _style() -> Any:
    from markupsafe import Markup

    return Markup((files(__package__) / "templates" / "report.css").read_text("utf-8").strip())  # noqa: S704
