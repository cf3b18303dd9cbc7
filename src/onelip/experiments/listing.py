"""What can be named in a configuration, as tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table
from rich.text import Text

from onelip import data, layers, losses, models, spectral
from onelip.experiments.config_source import available_configs, available_sweeps, config_families
from onelip.experiments.errors import UserError
from onelip.layers import LayerRecord
from onelip.layers.registry import Kind
from onelip.linalg import unknown_name
from onelip.tasks import OPTIMIZERS, SCHEDULES

Row = tuple[str, ...]


@dataclass(frozen=True)
class Parts:
    """How one kind of part is listed.

    Attributes:
        columns: Titles of the columns; none for a name and a sentence.
        rows: Makes the rows, each beginning with the name.
    """

    columns: tuple[str, ...]
    rows: Callable[[], Iterable[Row]]


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
        console.print(_table(name, KINDS_OF_PARTS[name]), "")


def _table(title: str, parts: Parts) -> Table:
    rows = [*parts.rows()]
    # Rows of several lines are told apart by a blank one.
    below = int(any("\n" in cell for row in rows for cell in row))
    table = Table(title=title, title_justify="left", show_header=bool(parts.columns), box=None, pad_edge=False)
    table.padding = (0, 1, below, 0)
    for index, column in enumerate(parts.columns):
        table.add_column(column, no_wrap=index == 0)
    for row in rows:
        # As text, since what is in brackets would be taken for markup.
        table.add_row(*map(Text, row))
    return table


def _layers() -> Iterable[Row]:
    methods: dict[str, list[LayerRecord]] = {}
    for kind in LAYER_KINDS:
        for record in layers.records(kind):
            methods.setdefault(record.name, []).append(record)
    for name in sorted(methods):
        records = methods[name]
        kinds = ", ".join(_KIND_NAMES.get(r.kind, r.kind) for r in records)
        sources, costs = _lines("", records, lambda r: r.paper), _lines("cost ", records, lambda r: r.cost)
        yield name, f"{kinds}\n{_lines('', records, _jacobian)}", f"{sources}\n{costs}"


def _jacobian(record: LayerRecord) -> str:
    kept = "orthogonal" if record.orthogonal else "not orthogonal"
    return kept if record.norm == "l2" else f"{kept}, {record.norm} norm"


def _lines(title: str, records: list[LayerRecord], text: Callable[[LayerRecord], str]) -> str:
    # What the records of a method share, or a line for the kinds that share it.
    kinds: dict[str, list[str]] = {}
    for record in records:
        kinds.setdefault(text(record), []).append(_KIND_NAMES.get(record.kind, record.kind))
    if len(kinds) == 1:
        shared = next(iter(kinds))
        return f"{title.strip()}: {shared}" if title else shared
    return "\n".join(f"{title}{', '.join(names)}: {shared}" for shared, names in kinds.items())


def _of_kind(kind: Kind) -> Callable[[], Iterable[Row]]:
    return lambda: [(r.name, _jacobian(r), r.paper) for r in layers.records(kind)]


def _models() -> Iterable[Row]:
    return [(p.name, p.summary) for p in models.available().values()]


def _data() -> Iterable[Row]:
    return [(r.name, r.summary) for r in data.available().values()]


def _losses() -> Iterable[Row]:
    return [(p.name, p.summary) for p in losses.available().values()]


def _clipping() -> Iterable[Row]:
    return [(p.name, p.summary) for p in spectral.available().values()]


def _configs() -> Iterable[Row]:
    summaries = available_configs()
    for names in config_families().values():
        bases = [name for name in names if sum(other.startswith(f"{name}-") for other in names) >= _GRID]
        cells = [name for name in names if any(name.startswith(f"{base}-") for base in bases)]
        yield from ((name, summaries[name]) for name in names if name not in cells)
        yield from _grids(bases, cells)


def _sweeps() -> Iterable[Row]:
    return available_sweeps().items()


# The cells of grids are rows of a name in parts: bases with the same cells, and what follows.
def _grids(bases: list[str], cells: list[str]) -> Iterable[Row]:
    endings: dict[str, list[str]] = {}
    for name in cells:
        base = max((b for b in bases if name.startswith(f"{b}-")), key=len)
        endings.setdefault(base, []).append(name.removeprefix(f"{base}-"))
    alike: dict[tuple[str, ...], list[str]] = {}
    for base, follow in endings.items():
        alike.setdefault(tuple(follow), []).append(f"{base}-...")
    for shared, starts in alike.items():
        yield "\n".join(starts), ", ".join(shared)


def _optimizers() -> Iterable[Row]:
    return [(name, _first_line(make)) for name, make in OPTIMIZERS.items()]


def _schedules() -> Iterable[Row]:
    return [(name, _first_line(make)) for name, make in SCHEDULES.items()]


def _first_line(thing: object) -> str:
    return (thing.__doc__ or "").partition("\n")[0]


LAYER_KINDS: tuple[Kind, ...] = ("conv2d", "conv_transpose2d", "conv1d", "linear")
"""Kinds that are listed together, as the methods of layers with weights."""

_KIND_NAMES = {"conv_transpose2d": "transposed"}

_GRID = 5
"""Variants of a configuration from which on they share a row."""

_OTHER_LAYERS = ("name", "Jacobian", "source")

KINDS_OF_PARTS: dict[str, Parts] = {
    "configs": Parts((), _configs),
    "sweeps": Parts((), _sweeps),
    "data": Parts((), _data),
    "models": Parts((), _models),
    "layers": Parts(("method", "kinds, Jacobian", "source, cost of the constraint"), _layers),
    "activations": Parts(_OTHER_LAYERS, _of_kind("activation")),
    "pools": Parts(_OTHER_LAYERS, _of_kind("pool")),
    "normalizations": Parts(_OTHER_LAYERS, _of_kind("normalization")),
    "losses": Parts((), _losses),
    "clipping": Parts((), _clipping),
    "optimizers": Parts((), _optimizers),
    "schedules": Parts((), _schedules),
}
