"""Write docs/supported-modules.md from the table of modules: what is bounded, certified and refused.

usage: python -m tools.modules_page            prints the page
       python -m tools.modules_page --write    writes it
"""

from __future__ import annotations

from pathlib import Path

import torch
from tools.generated_page import run
from tools.module_table import BOUNDED_ONLY, CONTAINERS, GROUPS, REFUSED, Case
from torch import nn

from onelip.bounds import UnknownLipschitzConstant, lipschitz_bound
from onelip.bounds.refusals import FUNCTIONS, reason
from onelip.certify.export import freeze

PAGE = Path(__file__).parents[1] / "docs" / "supported-modules.md"

INTRODUCTION = """# Modules and functions of torch

What `lipschitz_bound` proves a constant of, what a certificate can hold, and what is refused, each by an example that
the tests measure: the largest singular value of Jacobians is below the constant, the frozen network computes what torch
does within its proved error, and the checker proves and computes both again. This page is generated:
`python -m tools.modules_page --write`.

- *constant*: where it comes from. *exact* and *derivative* are numbers; the others are norms at the given image size.
- *operations*: what the example becomes in a certificate; none if it vanishes, or a certificate cannot hold it.

Modules of several axes work on samples of `(channels, ...)`. In-place variants count as what they compute; a value that
is changed in place and used again is refused. Softplus is the smooth function: torch's own jumps by
exp(-threshold) / beta, which is added to the error of every entry, so a threshold of 40 certifies a little more than
one of 20.
"""

METHODS = (
    "exact", "derivative", "window matrix", "window overlap", "pixel copies", "copies", "sums", "channel factors",
    "factor", "divisor", "mean", "sum", "concatenation", "scale",
)  # fmt: skip
"""Names of proofs that do not depend on the numbers of an example."""


def _row(case: Case, certified: bool) -> str:
    torch.manual_seed(0)
    model = case.build().eval()
    if certified:
        frozen = freeze(model, case.shape)
        bound, nodes = frozen.analysis.total, frozen.network.nodes
    else:
        bound, nodes = lipschitz_bound(model, case.shape), ()
    assert bound.proved, f"{case} is bounded by an estimate"
    # How the norm of a weight is proved depends on its numbers.
    names = [row.bound.method if row.bound.method in METHODS else "norm of the weight" for row in bound.layers]
    methods, operations = dict.fromkeys(names or ["exact"]), ", ".join(dict.fromkeys(node.op for node in nodes))
    cells = (f"`{case.name}`", _code(case.options), ", ".join(methods), operations)
    return f"| {' | '.join(cells)} |"


def _code(text: str) -> str:
    return f"`{text}`" if text else ""


def _table(titles: tuple[str, ...], rows: list[str]) -> list[str]:
    return [f"| {' | '.join(titles)} |", f"| {' | '.join('---' for _ in titles)} |", *rows, ""]


def refusal(case: Case) -> str:
    """Ask for the constant of what has none.

    Args:
        case: An example.

    Returns:
        The reason as half a sentence.

    Raises:
        ValueError: If it has one.
    """
    try:
        lipschitz_bound(case.build(), case.shape)
    except UnknownLipschitzConstant as error:
        return str(error).partition("has no known Lipschitz constant: ")[2].rpartition("; give it one")[0]
    raise ValueError(f"{case} is bounded")


def _refused() -> list[str]:
    reasons = {(case.name, case.options): refusal(case) for case in REFUSED}
    tried = {name for name, _ in reasons}
    for name in dir(nn):
        kind = getattr(nn, name)
        words = reason(kind) if isinstance(kind, type) and issubclass(kind, nn.Module) else None
        lazy_or_loss = name.startswith("Lazy") or "Loss" in name
        if words is not None and name not in (*tried, *CONTAINERS) and not lazy_or_loss:
            reasons[name, ""] = words
    known = {name.rpartition(".")[2] for name in tried}
    for target, words in FUNCTIONS.items():
        name = target if isinstance(target, str) else target.__name__
        if not isinstance(target, str) and name not in known:
            reasons[name, ""] = words
    return [f"| `{name}` | {_code(options)} | {words} |" for (name, options), words in sorted(reasons.items())]


def page() -> str:
    """Make the page.

    Returns:
        Markdown that ends in a newline.
    """
    titles = ("module or function", "example", "constant", "operations")
    lines = [INTRODUCTION]
    for group, cases in GROUPS.items():
        lines += [f"## {group}", "", *_table(titles, [_row(case, True) for case in cases])]
    lines += ["## Bounded, but not in certificates", "", *_table(titles, [_row(case, False) for case in BOUNDED_ONLY])]
    lines += ["## Refused", "", "All losses and lazy modules that were not called yet, and:", ""]
    lines += _table(("module or function", "example", "why"), _refused())
    return "\n".join(lines).rstrip("\n") + "\n"


if __name__ == "__main__":
    run("modules_page", PAGE, page)
