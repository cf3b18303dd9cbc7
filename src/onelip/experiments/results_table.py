"""A run's results as a table on standard output."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

from onelip.certify.checker import MEANINGS
from onelip.experiments.console import say
from onelip.experiments.report.numbers import share_text, upper_text
from onelip.experiments.run_folder import RunFolder


def show_results(folder: RunFolder) -> None:
    """Print a run's accuracies at each radius, or what was measured of a network without a certificate.

    Args:
        folder: The run's folder.
    """
    results = json.loads(folder.results_file.read_text("utf-8"))
    if "lipschitz_bound" not in results:
        _show_ordinary(results)
        return
    bound = results["lipschitz_bound"]
    word = "proved" if bound["proved"] else "estimated, NOT proved"
    norm, semantics = results.get("norm", "l2"), results.get("semantics", "real")
    relaxed = results.get("relaxation")
    middle = [] if relaxed is None else [f"certified by relaxation ({relaxed['method']})"]
    say(f"{results['split']} split; Lipschitz constant ({norm}) <= {upper_text(bound['value'])} ({word})")
    say(f"semantics {semantics}: {MEANINGS[semantics]}")
    table = Table()
    for column in (f"{norm} radius", "certified accuracy", *middle, "accuracy under attack"):
        table.add_column(column, justify="right")
    table.add_row("0", share_text(results["accuracy"]), *([""] * len(middle)), "")
    for radius in sorted({*results["certified"], *results["attacked"]}, key=float):
        certified = [share_text(results["certified"].get(radius), guaranteed=True)]
        if relaxed is not None:
            certified.append(share_text(relaxed["certified"].get(radius), guaranteed=True))
        table.add_row(radius, *certified, share_text(results["attacked"].get(radius)))
    Console().print(table)


def _show_ordinary(results: Mapping[str, Any]) -> None:
    say(f"{results['split']} split; accuracy {share_text(results['clean_accuracy'])}; nothing is proved")
    kinds: dict[str, list[Mapping[str, Any]]] = {}
    for row in results["spectrum"]:
        kinds.setdefault(row["kind"], []).append(row)
    table = Table()
    for column in ("parts", "of kind", "largest singular value", "of"):
        table.add_column(column, justify="left" if column.startswith("of") else "right")
    for kind, rows in kinds.items():
        top = max(rows, key=lambda row: float(row["values"][0]))
        table.add_row(str(len(rows)), kind, f"{top['values'][0]:.4f}", top["name"])
    Console().print(table)
    if results["largest_norm_at_checks"] is not None:
        n = results["checks"]
        say(
            f"largest norm at {n} check{'s' if n != 1 else ''} of the training: {results['largest_norm_at_checks']:.4f}"
        )


def show_attack(attack: Mapping[str, Any]) -> None:
    """Print the accuracy under an attack at each radius.

    Args:
        attack: What the file of the attack holds.
    """
    certified, stages = attack.get("certified_on_same"), attack.get("stages", {})
    say(f"{attack['attack']} in {attack['norm']}, on {attack['samples']:,} images of the test split")
    # The last stage is the whole attack.
    before = {f"after {name}": shares for name, shares in list(stages.items())[:-1]}
    table = Table()
    for column in (
        f"{attack['norm']} radius",
        *(["certified accuracy"] if certified else []),
        *before,
        "accuracy under attack",
    ):
        table.add_column(column, justify="right")
    empty = [""] * (len(before) + bool(certified))
    table.add_row("0", *empty, share_text(attack["clean_on_same"]))
    for k, (radius, accuracy) in enumerate(zip(attack["radii"], attack["accuracy"], strict=True)):
        proved = [share_text(certified[k], guaranteed=True)] if certified else []
        table.add_row(
            f"{radius:.6g}", *proved, *(share_text(shares[k]) for shares in before.values()), share_text(accuracy)
        )
    Console().print(table)
