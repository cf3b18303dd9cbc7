"""What can be named in a configuration, as tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from rich.console import Console
from rich.table import Table

from onelip import data, layers, losses, models
from onelip.experiments.config_file import available_configs
from onelip.experiments.errors import UserError
from onelip.layers.registry import KINDS
from onelip.linalg import unknown_name
from onelip.tasks import OPTIMIZERS, SCHEDULES

Row = tuple[str, str]

# Kinds of layers with a table of their own.
_OTHER_KINDS = ("activation", "pool", "normalization")


def show(kind: str | None) -> None:
    """Print the names of one kind, or of all.

    Args:
        kind: A key of `KINDS_OF_PARTS`, or None.

    Raises:
        UserError: If there is no such kind.
    """
    if kind is not None and kind not in KINDS_OF_PARTS:
        raise UserError(unknown_name("kind of part", kind, KINDS_OF_PARTS))
    console = Console()
    for name in [kind] if kind is not None else KINDS_OF_PARTS:
        table = Table(title=name, title_justify="left", show_header=False, box=None, pad_edge=False)
        for row in KINDS_OF_PARTS[name]():
            table.add_row(*row)
        console.print(table, "")


def _layers() -> Iterable[Row]:
    for name in dict.fromkeys(r.name for r in layers.records() if r.kind not in _OTHER_KINDS):
        records = [layers.record(kind, name) for kind in KINDS if name in layers.available(kind)]
        kinds = ", ".join(r.kind for r in records)
        yield name, f"{kinds}{'; orthogonal' if records[0].orthogonal else ''}; {records[0].paper}"


def _activations() -> Iterable[Row]:
    return [(r.name, r.paper) for r in layers.records("activation")]


def _pools() -> Iterable[Row]:
    return [(r.name, r.paper) for r in layers.records("pool")]


def _normalizations() -> Iterable[Row]:
    return [(r.name, r.paper) for r in layers.records("normalization")]


def _models() -> Iterable[Row]:
    return [(p.name, p.summary) for p in models.available().values()]


def _data() -> Iterable[Row]:
    return [(r.name, r.summary) for r in data.available().values()]


def _losses() -> Iterable[Row]:
    return [(p.name, p.summary) for p in losses.available().values()]


def _configs() -> Iterable[Row]:
    return available_configs().items()


def _optimizers() -> Iterable[Row]:
    return [(name, _first_line(make)) for name, make in OPTIMIZERS.items()]


def _schedules() -> Iterable[Row]:
    return [(name, _first_line(make)) for name, make in SCHEDULES.items()]


def _first_line(thing: object) -> str:
    return (thing.__doc__ or "").partition("\n")[0]


KINDS_OF_PARTS: dict[str, Callable[[], Iterable[Row]]] = {
    "configs": _configs,
    "data": _data,
    "models": _models,
    "layers": _layers,
    "activations": _activations,
    "pools": _pools,
    "normalizations": _normalizations,
    "losses": _losses,
    "optimizers": _optimizers,
    "schedules": _schedules,
}
