"""What the commands print on standard output."""

from __future__ import annotations

import json
from typing import Any

from rich.console import Console
from rich.table import Table

from onelip.experiments.run_folder import RunFolder


def show_results(folder: RunFolder) -> None:
    """Print a run's accuracies at each radius.

    Args:
        folder: The run's folder.
    """
    results = json.loads(folder.results_file.read_text("utf-8"))
    bound = results["lipschitz_bound"]
    word = "proved" if bound["proved"] else "estimated, NOT proved"
    table = Table(title=f"{results['split']} split, Lipschitz constant <= {bound['value']:.6g} ({word})")
    for column in ("l2 radius", "certified accuracy", "accuracy under attack"):
        table.add_column(column, justify="right")
    table.add_row("0", f"{results['accuracy']:.2%}", "")
    for radius in sorted({*results["certified"], *results["attacked"]}, key=float):
        table.add_row(radius, *(_percent(results[key].get(radius)) for key in ("certified", "attacked")))
    Console().print(table)


def _percent(value: Any) -> str:
    return "" if value is None else f"{value:.2%}"


def say(*lines: str) -> None:
    """Print lines as they are, unwrapped.

    Args:
        *lines: One sentence or path each.
    """
    for line in lines:
        Console(soft_wrap=True).print(line, highlight=False, markup=False)
