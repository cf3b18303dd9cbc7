"""Which networks of norm-one layers come near the best critic: activations, depths and widths on the toy problems.

    python -m benchmarks.expressiveness                          trains all 108, a quarter of an hour on one core
    python -m benchmarks.expressiveness --problem three-cones    appends some
    python -m benchmarks.expressiveness --table                  prints the table of what the file has

Every network has orthogonal layers, so its constant is proved to be 1, and the best value of each problem is 1. One
line of results for each network in docs/expressiveness.jsonl; the table in docs/transport.md is made of them.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import nn

from onelip import layers
from onelip.transport import Problem, absolute_value, high_dimensional_cone, three_cones, wasserstein1

RESULTS = Path(__file__).parents[1] / "docs" / "expressiveness.jsonl"
PROBLEMS = {"absolute-value": absolute_value, "three-cones": three_cones, "128-d-cone": high_dimensional_cone}
ACTIVATIONS = ("relu", "abs", "householder", "maxmin", "groupsort-8", "fullsort")
DEPTHS, WIDTHS = (1, 2, 3), (32, 128)


def network(n_inputs: int, activation: str, widths: list[int]) -> nn.Sequential:
    """Make a network of orthogonal layers.

    Args:
        n_inputs: Size of the input.
        activation: A registered one; the number at its end is the size of the groups.
        widths: Of the hidden layers.

    Returns:
        The network, with one output.
    """
    name, _, group_size = activation.partition("-")
    options = {"group_size": int(group_size)} if group_size else {}
    parts: list[nn.Module] = []
    for n_before, n_after in zip([n_inputs, *widths], widths, strict=False):
        parts += [layers.linear("polar-express", n_before, n_after), layers.activation(name, n_after, **options)]
    return nn.Sequential(*parts, layers.linear("polar-express", widths[-1], 1))


def trained(
    name: str, problem: Problem, activation: str, widths: list[int], options: argparse.Namespace
) -> dict[str, Any]:
    """Train and measure one network.

    Args:
        name: Of the problem.
        problem: The problem.
        activation: Between the layers.
        widths: Of the hidden layers.
        options: Steps, batch size, learning rate and seed.

    Returns:
        A line of results.
    """
    torch.manual_seed(options.seed)
    critic = network(problem.p.shape[0], activation, widths)
    start = time.perf_counter()
    found = wasserstein1(
        problem.p,
        problem.q,
        critic,
        n_steps=options.steps,
        batch_size=options.batch_size,
        lr=options.lr,
        seed=options.seed,
    )
    return {
        "problem": name,
        "activation": activation,
        "depth": len(widths),
        "width": widths[0],
        "bound": found.ratio,
        "standard_error": found.standard_error,
        "constant": found.constant.value,
        "proved": found.constant.proved,
        "exact": found.exact,
        "seconds": round(time.perf_counter() - start, 2),
        "steps": options.steps,
        "batch_size": options.batch_size,
        "lr": options.lr,
        "seed": options.seed,
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
    }


def table(rows: list[dict[str, Any]]) -> Iterator[str]:
    """Write results as a table: a row for each problem and activation, a column for each depth and width.

    Args:
        rows: Lines of results; later ones replace earlier ones of the same network.

    Yields:
        Its lines.
    """
    cells = {(r["problem"], r["activation"], r["depth"], r["width"]): r for r in rows}
    columns = [(depth, width) for depth in DEPTHS for width in WIDTHS]
    yield "| problem | activation | " + " | ".join(" x ".join([str(w)] * d) for d, w in columns) + " |"
    yield "| --- " * (len(columns) + 2) + "|"
    for problem in PROBLEMS:
        for activation in ACTIVATIONS:
            found = [cells.get((problem, activation, *column)) for column in columns]
            if any(found):
                values = ("" if r is None else f"{r['bound']:.3f}" for r in found)
                yield f"| {problem} | {activation} | " + " | ".join(values) + " |"
    yield ""
    yield (
        f"{len(cells)} networks, every constant at most {max(r['constant'] for r in cells.values()):.7f} and proved: "
        f"{all(r['proved'] for r in cells.values())}; standard errors up to "
        f"{max(r['standard_error'] for r in cells.values()):.4f}; "
        f"{sum(r['seconds'] for r in cells.values()):.0f} s in all"
    )


def main() -> None:
    """Train, or print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--problem", action="append", choices=tuple(PROBLEMS))
    parser.add_argument("--activation", action="append", choices=ACTIVATIONS)
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--lr", type=float, default=0.02)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if not options.table:
        with options.results.open("a", encoding="utf-8") as file:
            for name in options.problem or PROBLEMS:
                for activation in options.activation or ACTIVATIONS:
                    for width, depth in ((w, d) for w in WIDTHS for d in DEPTHS):
                        row = trained(name, PROBLEMS[name](), activation, [width] * depth, options)
                        if not (row["proved"] and math.isfinite(row["bound"])):
                            raise SystemExit(f"this is no bound: {row}")
                        file.write(json.dumps(row) + "\n")
                        file.flush()
    lines = options.results.read_text("utf-8").splitlines()
    print("\n".join(table([json.loads(line) for line in lines])))


if __name__ == "__main__":
    main()
