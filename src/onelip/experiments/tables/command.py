"""What `onelip tables` does."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from onelip.experiments.collection import RunRow, collect
from onelip.experiments.console import say
from onelip.experiments.errors import UserError
from onelip.experiments.files import write_text_atomically
from onelip.experiments.tables.figures import FIGURES, save_radar
from onelip.experiments.tables.filling import Grid, fill
from onelip.experiments.tables.formats import FORMATS
from onelip.experiments.tables.grid import Spec
from onelip.experiments.tables.measured_costs import read_costs
from onelip.experiments.tables.pivot import pivot
from onelip.experiments.tables.selection import Selected, select
from onelip.experiments.tables.templates import TEMPLATES, Inputs, Template
from onelip.linalg import unknown_name

_ENDINGS = {".md": "md", ".csv": "csv", ".tex": "latex", ".json": "json", ".png": "png", ".svg": "svg"}


def list_templates() -> None:
    """Print every template: its name, what it shows, and the configurations whose runs fill it."""
    for one in TEMPLATES.values():
        needs = [*one.needs, *(["measurements of onelip bench"] if one.measured else [])]
        say(one.name, f"    {one.summary}; {one.paper}{', also as a figure' if one.figure else ''}")
        say(f"    from {', '.join(needs)}")


def make_tables(
    runs: Sequence[str],
    *,
    template: str | None = None,
    format_name: str | None = None,
    out: str | None = None,
    measurements: str | None = None,
    published: bool = True,
    layout: tuple[str | None, str | None, str | None] = (None, None, None),
) -> None:
    """Make the tables of a template, or one of any factors, and print or write them.

    Args:
        runs: Folders of runs, or folders that hold some.
        template: A key of `TEMPLATES`; None for a table of the factors in which the runs differ.
        format_name: "md", "csv", "latex", "json", "png" or "svg"; None for what `out` ends in, or Markdown.
        out: File to write, replaced if it is there; None for standard output.
        measurements: A file of `onelip bench measure` or `onelip bench budget`; None for none.
        published: Whether numbers of the paper are shown, beside those of the runs.
        layout: Factors of rows, factors of columns and values, with commas between; None for the usual ones.

    Raises:
        UserError: If an option is wrong, there is no run, or the file cannot be written.
    """
    one = _template(template, layout, measurements)
    name, path = _format(format_name, out, one), None if out is None else _writable(Path(out))
    costs = ((), {}) if measurements is None else read_costs(measurements)
    selected = select(_rows(runs, one, measurements))
    inputs = Inputs(selected.runs, *costs)
    if name in FIGURES:
        save_radar(inputs, Path(str(path)))
        say(f"written: {path}")
        return
    specs = one.build(inputs) if one is not None else [_pivot(selected, layout)]
    _write(FORMATS[name](_filled(specs, selected), published), path)


# A table of costs can do without runs.
def _rows(runs: Sequence[str], template: Template | None, measurements: str | None) -> list[RunRow]:
    if runs:
        return collect(runs)
    if template is None or (template.needs and measurements is None):
        raise UserError("onelip tables needs folders of runs, such as: onelip tables runs; or --list")
    return []


def _pivot(selected: Selected, layout: Sequence[str | None]) -> Spec:
    rows, columns, values = (None if part is None else _names(part) for part in layout)
    return pivot([*selected.runs, *selected.others], rows, columns, values)


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _filled(specs: Sequence[Spec], selected: Selected) -> list[Grid]:
    return [fill(spec, selected) for spec in specs]


def _template(name: str | None, layout: Sequence[str | None], measurements: str | None) -> Template | None:
    if name is None:
        if measurements is not None:
            raise UserError("--measurements are for templates that show costs; give one with --template")
        return None
    if name not in TEMPLATES:
        raise UserError(unknown_name("template", name, TEMPLATES))
    for option, value in zip(("--rows", "--columns", "--value"), layout, strict=True):
        if value is not None:
            raise UserError(f"{option} {value} has no meaning for --template {name}, whose layout is that of its paper")
    if measurements is not None and not TEMPLATES[name].measured:
        takers = ", ".join(one.name for one in TEMPLATES.values() if one.measured)
        raise UserError(f"--measurements have no meaning for --template {name}; those that show costs are {takers}")
    return TEMPLATES[name]


def _format(name: str | None, out: str | None, template: Template | None) -> str:
    allowed = (*FORMATS, *FIGURES)
    chosen = name or (_ENDINGS.get(Path(out).suffix, "md") if out is not None else "md")
    if chosen not in allowed:
        raise UserError(unknown_name("format", chosen, allowed))
    if chosen not in FIGURES:
        return chosen
    if template is None or not template.figure:
        drawn = ", ".join(one.name for one in TEMPLATES.values() if one.figure)
        raise UserError(f"format={chosen} is for templates that are figures: {drawn}; use one of {', '.join(FORMATS)}")
    if out is None or Path(out).suffix != f".{chosen}":
        raise UserError(f"format={chosen} needs a file to write that ends in .{chosen}; give one with --out")
    return chosen


def _writable(path: Path) -> Path:
    if not path.parent.is_dir():
        raise UserError(f"{path.parent}: no such folder, so {path.name} cannot be written there")
    if path.is_dir() or not os.access(path.parent, os.W_OK):
        raise UserError(f"{path} cannot be written")
    return path


def _write(text: str, path: Path | None) -> None:
    if path is None:
        sys.stdout.write(text)
        return
    write_text_atomically(path, text)
    say(f"written: {path}")
