"""The figures of many runs as files."""

import pytest
from tests.experiments.overview.made_up import fill, row

from onelip.experiments.overview.columns import score_column, table_columns
from onelip.experiments.overview.figures import MOST_GROUPS, group_runs, write_figures
from onelip.pictures import RadarPlot


def grouped(rows):
    columns = table_columns(rows)
    return group_runs(rows, columns, score_column(columns))


def test_finished_runs_that_differ_in_the_seed_alone_are_a_group():
    rows = [row(k, layer=layer, width=2) for layer in ("aoc", "aol") for k in range(2)]
    rows.append(row(2, status="failed"))
    assert grouped(rows) == ({"aoc": [0, 1], "aol": [2, 3]}, "")
    assert grouped([row(0), row(1)])[0] == {"all runs": [0, 1]}
    assert list(grouped([row(0, width=2), row(0, width=3)])[0]) == ["width 2", "width 3"]


def test_factors_that_say_the_same_are_named_once():
    rows = [row(k, layer=layer, method=layer, size=size) for layer in ("aoc", "aol") for k, size in enumerate("ab")]
    assert list(grouped(rows)[0]) == ["aoc · a", "aoc · b", "aol · a", "aol · b"]


def test_of_too_many_groups_the_best_are_shown_and_it_is_said():
    rows = [row(0, layer=f"l{k:02d}", values={"accuracy": k / 100}) for k in range(15)]
    groups, cut = grouped(rows)
    assert list(groups) == [f"l{k:02d}" for k in range(14, 14 - MOST_GROUPS, -1)]
    assert cut == "figures show 12 of 15 groups of runs, the best by accuracy"


def test_every_figure_is_drawn_twice(tmp_path):
    rows = [fill(row(k, folder=tmp_path / "runs", layer=("aoc", "aol")[k % 2])) for k in range(3)]
    drawn = write_figures(rows, tmp_path, RadarPlot(("a", "b", "c"), {"aoc": (1, 2, 3)}))
    assert drawn.names == ("learning-curves", "certified-accuracy", "pareto", "radar")
    assert drawn.skipped == ()
    expected = {f"{name}.{ending}" for name in drawn.names for ending in ("png", "svg")}
    assert {path.name for path in drawn.folder.iterdir()} == expected
    assert drawn.folder == tmp_path / "pictures"


@pytest.mark.parametrize("status", ["finished", "unfinished"])
def test_what_cannot_be_drawn_is_named_with_the_reason(tmp_path, status):
    drawn = write_figures([row(0, folder=tmp_path, status=status, values={})], tmp_path)
    assert drawn.names == ()
    assert [line.split(" left out: ")[0] for line in drawn.skipped] == [
        "learning-curves",
        "certified-accuracy",
        "pareto",
    ]


def test_a_curve_that_is_not_proved_is_not_drawn_as_certified(tmp_path):
    drawn = write_figures([fill(row(0, folder=tmp_path / "runs"), proved=False)], tmp_path)
    assert "certified-accuracy" not in drawn.names
