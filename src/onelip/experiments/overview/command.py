"""The command that writes one page over many runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from onelip.experiments.collection import collect
from onelip.experiments.console import say
from onelip.experiments.overview.figures import write_figures
from onelip.experiments.overview.page import check_replaceable, write_overview
from onelip.experiments.overview.scores import read_scores

DEFAULT = "overview.html"


def overview(
    paths: Sequence[str],
    *,
    out: str | None = None,
    title: str | None = None,
    scores: str | None = None,
    pictures: bool = False,
) -> None:
    """Write one page over all runs at or below some folders.

    Args:
        paths: Folders of runs, or folders that hold some.
        out: Where; by default `overview.html` in the folder if it is one, else in the current folder.
        title: The heading; by default the name of the folder if it is one.
        scores: A JSON file of scores, which are drawn as a radar plot; None for none.
        pictures: Draw the figures as PNG and SVG files, too, into a folder `pictures` beside the page.

    Raises:
        UserError: If there is no run, another file where the page is to be, or no scores in the file of scores.
    """
    path = Path(out or (Path(paths[0]) / DEFAULT if len(paths) == 1 else DEFAULT))
    if out is not None:
        check_replaceable(path)
    radar = None if scores is None else read_scores(scores)
    rows = collect(paths)
    title = title or (Path(paths[0]).resolve().name if len(paths) == 1 else "Runs")
    write_overview(rows, path, title=title, radar=radar)
    say(f"overview of {len(rows):,} run{'s' if len(rows) > 1 else ''}: {path}")
    if pictures:
        drawn = write_figures(rows, path.parent, radar)
        for line in drawn.skipped:
            say(line)
        if drawn.names:
            say(f"pictures: {drawn.folder} ({', '.join(drawn.names)}; .png and .svg)")
