"""The command that writes one page over many runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from onelip.experiments.collection import RunRow, collect
from onelip.experiments.console import say
from onelip.experiments.errors import UserError
from onelip.experiments.overview.figures import write_figures
from onelip.experiments.overview.page import check_replaceable, write_overview
from onelip.experiments.tables.figures import radar_plot
from onelip.experiments.tables.measured_costs import Costs, read_costs
from onelip.experiments.tables.selection import select
from onelip.experiments.tables.templates import Inputs
from onelip.pictures import RadarPlot

DEFAULT = "overview.html"


def overview(
    paths: Sequence[str],
    *,
    out: str | None = None,
    title: str | None = None,
    measurements: str | None = None,
    pictures: bool = False,
) -> None:
    """Write one page over all runs at or below some folders.

    Args:
        paths: Folders of runs, or folders that hold some.
        out: Where; by default `overview.html` in the folder if it is one, else in the current folder.
        title: The heading; by default the name of the folder if it is one.
        measurements: A file of `onelip bench measure`; with it the scores of methods are drawn as a radar plot.
        pictures: Draw the figures as PNG and SVG files, too, into a folder `pictures` beside the page.

    Raises:
        UserError: If there is no run, another file where the page is to be, or the measurements cannot be used.
    """
    path = Path(out or (Path(paths[0]) / DEFAULT if len(paths) == 1 else DEFAULT))
    if out is not None:
        check_replaceable(path)
    costs = None if measurements is None else read_costs(measurements)
    rows = collect(paths)
    radar, why = _radar(rows, costs)
    title = title or (Path(paths[0]).resolve().name if len(paths) == 1 else "Runs")
    write_overview(rows, path, title=title, radar=radar)
    say(f"overview of {len(rows):,} run{'s' if len(rows) > 1 else ''}: {path}")
    if why and measurements is not None:
        say(f"radar left out: {why}")
    if pictures:
        drawn = write_figures(rows, path.parent, radar)
        for line in (*drawn.skipped, *([f"radar left out: {why}"] if why and measurements is None else [])):
            say(line)
        if drawn.names:
            say(f"pictures: {drawn.folder} ({', '.join(drawn.names)}; .png and .svg)")


def _radar(
    rows: Sequence[RunRow], costs: tuple[Sequence[Costs], Mapping[str, float]] | None
) -> tuple[RadarPlot | None, str]:
    if costs is None:
        return None, "it scores costs, too; give --measurements, a file that onelip bench measure wrote"
    try:
        return radar_plot(Inputs(select(rows).runs, *costs)), ""
    except UserError as error:
        return None, str(error)
