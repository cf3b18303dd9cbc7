"""Tables as LaTeX, which needs the package booktabs alone."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from onelip.experiments.tables.filling import Cell, Grid
from onelip.experiments.tables.grid import Spec
from onelip.experiments.tables.numbers import summary_text
from onelip.experiments.tables.published import Published

_ESCAPES = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': "''",
    "\N{EN DASH}": "--",
    "±": r"$\pm$",
    "≤": r"$\leq$",
    "\N{MULTIPLICATION SIGN}": r"$\times$",
} | {sign: f"\\{sign}" for sign in "&%$#_{}"}


def escape(text: str) -> str:
    """Write text so that LaTeX prints it as it is.

    Args:
        text: Any text.

    Returns:
        The text without special characters.
    """
    return "".join(_ESCAPES.get(sign, sign) for sign in text)


def latex(grids: Sequence[Grid], shown: bool) -> str:
    r"""Write tables, each a `table` with a caption; published numbers are a table of their own.

    Args:
        grids: The tables.
        shown: Whether published numbers are shown.

    Returns:
        The environments, for a document with `\usepackage{booktabs}`.
    """
    parts = []
    for grid in grids:
        counts = {cell.n for row in grid.cells for cell in row if cell.n}
        body = [[_cell(cell, with_n=len(counts) > 1) for cell in row] for row in grid.cells]
        parts.append(_environment(grid.spec, body, f"{grid.spec.title}.", grid.notes))
        if shown and grid.spec.published:
            stated = [[_stated(cell.published) for cell in row] for row in grid.cells]
            caption = f"{grid.spec.title}. Published, not measured here: {grid.spec.published}."
            parts.append(_environment(grid.spec, stated, caption, ()))
    return "% needs \\usepackage{booktabs}\n" + "\n".join(parts)


def _environment(spec: Spec, body: Sequence[Sequence[str]], caption: str, notes: Sequence[str]) -> str:
    first = len(spec.corner)
    rows = [[*map(escape, labels), *cells] for labels, cells in zip(spec.rows, body, strict=True)]
    lines = [
        r"\begin{table}",
        r"\centering",
        f"\\caption{{{escape(caption)}}}",
        f"\\begin{{tabular}}{{{'l' * first}{'r' * len(spec.columns)}}}",
        r"\toprule",
        *_header(spec),
        r"\midrule",
        *(" & ".join(row) + r" \\" for row in rows),
        r"\bottomrule",
        r"\end{tabular}",
        *(f"\\par\\smallskip{{\\footnotesize {escape(note)}\\par}}" for note in notes),
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


# One line for each level of the columns' labels; neighbours that share one are spanned.
def _header(spec: Spec) -> list[str]:
    depth = len(spec.columns[0]) if spec.columns else 0
    lines = []
    for level in range(depth - 1):
        groups = groupby(labels[: level + 1] for labels in spec.columns)
        cells = [f"\\multicolumn{{{len([*same])}}}{{c}}{{{escape(labels[-1])}}}" for labels, same in groups]
        lines.append(" & ".join([*[""] * len(spec.corner), *cells]) + r" \\")
    lowest = [escape(labels[-1]) for labels in spec.columns]
    return [*lines, " & ".join([*map(escape, spec.corner), *lowest]) + r" \\"]


def _cell(cell: Cell, *, with_n: bool) -> str:
    if cell.slot is None or cell.slot.absent:
        return escape(cell.text)
    if cell.summary is None:
        return "--"
    n = f" (n={cell.n})" if with_n and cell.n else ""
    text = summary_text(cell.summary, cell.slot.unit.decimals, r"$\pm$") + n
    return f"\\textbf{{{text}}}" if cell.best else text


def _stated(stated: Published | None) -> str:
    if stated is None:
        return ""
    return (escape(stated.text) or "--") + (f" $\\pm$ {stated.deviation}" if stated.deviation else "")
