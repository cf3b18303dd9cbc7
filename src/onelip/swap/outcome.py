"""What became of a network whose layers were swapped."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from torch import nn
from typing_extensions import override


@dataclass(frozen=True)
class Replaced:
    """A module that was replaced.

    Attributes:
        name: Its name in the network; of a module used in several places, the first one.
        old: The old module, as text.
        new: Class of the new one.
        weight_change: |W_new - W| / |W| in the Frobenius norm, dimensionless; None where the new layer has no such
            weight.
        direction_kept: The cosine <W_new, W> / (|W_new| |W|), which a change of scale leaves alone; None likewise.
        remarks: What else is different, in half sentences.
    """

    name: str
    old: str
    new: str
    weight_change: float | None
    direction_kept: float | None
    remarks: tuple[str, ...]


@dataclass(frozen=True)
class Left:
    """A module, or an operation of a forward method, that was left as it is and deserves attention.

    Attributes:
        name: Its name in the network, or in its graph.
        kind: Class of the module, or name of the operation.
        problem: Why it is not constrained, or what it does to the constant, in one sentence or half of one.
        instead: What to use instead.
    """

    name: str
    kind: str
    problem: str
    instead: str


@dataclass(frozen=True, eq=False)
class Swap:
    """A rebuilt network, and what was changed in it; `str()` is a table.

    Attributes:
        model: The new network, with its own weights.
        replaced: The modules that were replaced, in the order of the network.
        left: What was left as it is and keeps the constant from being 1, or shrinks the signal.
    """

    model: nn.Module
    replaced: tuple[Replaced, ...]
    left: tuple[Left, ...]

    @override
    def __str__(self) -> str:
        return "\n".join([*_replaced_lines(self.replaced), "", *_left_lines(self.left)])


def _replaced_lines(replaced: tuple[Replaced, ...]) -> list[str]:
    if not replaced:
        return ["Nothing was replaced."]
    rows = [
        (r.name or "(the model)", r.old, r.new, _number(r.weight_change), _number(r.direction_kept)) for r in replaced
    ]
    header = ("replaced", "was", "is now", "weight change", "direction kept")
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    lines = [_row(header, widths), *(_row(row, widths) for row in rows)]
    # One line for remarks alike: all layers of a network have the same padding.
    noted: dict[str, list[str]] = {}
    for entry in replaced:
        for remark in entry.remarks:
            noted.setdefault(remark, []).append(entry.name or "(the model)")
    return lines + [f"  - {remark}: {', '.join(names)}" for remark, names in noted.items()]


def _left_lines(left: tuple[Left, ...]) -> list[str]:
    if not left:
        return ["Nothing was left unconstrained."]
    # One entry for modules alike: a residual network has dozens of the same normalisation.
    alike: dict[tuple[str, str, str], list[str]] = {}
    for entry in left:
        alike.setdefault((entry.kind, entry.problem, entry.instead), []).append(entry.name or "(the model)")
    lines = ["left as they are"]
    for (kind, problem, instead), names in alike.items():
        times = f" ({len(names)} times)" if len(names) > 1 else ""
        lines += [f"{kind}{times}: {', '.join(names)}", f"  - {problem}", f"  - instead: {instead}"]
    return lines


def _row(cells: Iterable[str], widths: list[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"
