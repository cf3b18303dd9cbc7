"""What a named table is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from onelip.experiments.collection import RunRow
from onelip.experiments.tables.grid import Spec
from onelip.experiments.tables.measured_costs import Costs


@dataclass(frozen=True)
class Inputs:
    """What tables are made of.

    Attributes:
        runs: The runs that count.
        measurements: Rows of `onelip bench measure`: seconds, bytes and operations of a model and method.
        epoch_seconds: Of `onelip bench budget`: seconds of an epoch by configuration.
    """

    runs: Sequence[RunRow]
    measurements: Sequence[Costs] = ()
    epoch_seconds: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Template:
    """A table or figure of a paper.

    Attributes:
        name: The name users type.
        summary: What it shows, in a phrase.
        paper: Where it is from.
        needs: The configurations whose runs fill it, such as "lconvnet-*-bcop", one pattern each.
        build: Makes the tables.
        measured: Measurements of costs fill it, too.
        figure: It can be drawn.
    """

    name: str
    summary: str
    paper: str
    needs: tuple[str, ...]
    build: Callable[[Inputs], Sequence[Spec]]
    measured: bool = False
    figure: bool = False
