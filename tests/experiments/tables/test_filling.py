"""Cells, the best of them, and what is said of missing ones."""

import statistics

import pytest
from tests.experiments.collection.made_runs import make_row

from onelip.experiments.tables.filling import differences, fill
from onelip.experiments.tables.grid import PERCENT, Slot, Spec, Unit, having
from onelip.experiments.tables.published import Published
from onelip.experiments.tables.selection import Selected, select


def _runs(layer, accuracies, **others):
    return [
        make_row("digits", f"layer={layer}", f"seed={seed}", folder=f"{layer}/{seed}", values={"accuracy": a}, **others)
        for seed, a in enumerate(accuracies)
    ]


def _slot(layer, group="", goal="max", unit=PERCENT, **others):
    return Slot("accuracy", having(layer=layer), unit, goal, group, needs=layer, **others)


def _one_row(*slots):
    return Spec(
        "it", ("",), [("row",)], [(str(c),) for c in range(len(slots))], {(0, c): s for c, s in enumerate(slots)}
    )


def _fill(runs, *slots):
    return fill(_one_row(*slots), Selected(runs))


def test_means_and_deviations_over_seeds():
    runs = [*_runs("aol", [0.5, 0.6, 0.9]), *_runs("aoc", [0.3, 0.1, 0.2])]
    grid = _fill(runs, _slot("aol"), _slot("aoc"))
    for cell, values in zip(grid.cells[0], ([50, 60, 90], [30, 10, 20]), strict=True):
        assert cell.n == 3
        assert cell.summary.mean == pytest.approx(statistics.mean(values))
        assert cell.summary.deviation == pytest.approx(statistics.stdev(values))
    assert [cell.best for cell in grid.cells[0]] == [True, False]
    assert grid.notes == ["Mean and deviation of the sample over n = 3 runs in each cell."]


@pytest.mark.parametrize(
    ("goal", "best"),
    [("max", [False, True, True]), ("min", [True, False, False]), ("near-1", [True, False, False]), ("", [False] * 3)],
)
def test_the_best_and_ties_in_print(goal, best):
    runs = [*_runs("aol", [1.1]), *_runs("aoc", [1.5]), *_runs("bcop", [1.500001])]
    unit = Unit("", 1.0, 2)
    grid = _fill(runs, *(_slot(layer, goal=goal, unit=unit) for layer in ("aol", "aoc", "bcop")))
    assert [cell.best for cell in grid.cells[0]] == best
    assert grid.notes == ["One run in each cell (n = 1), so there is no deviation."]


def test_groups_are_compared_apart_and_one_cell_is_not_the_best():
    runs = [*_runs("aol", [0.1]), *_runs("aoc", [0.5]), *_runs("bcop", [0.4])]
    grid = _fill(runs, _slot("aol", "a"), _slot("aoc", "a"), _slot("bcop", "b"))
    assert [cell.best for cell in grid.cells[0]] == [False, True, False]


def test_missing_cells_are_counted_and_named():
    stated = Published("1", "", "percent", "it")
    slots = [
        _slot("aol"), _slot("rko", detail="x"), _slot("rko", detail="y"), _slot("aol", detail="z"),
        Slot(published=stated, absent=True), "text", _slot("bcop"),
    ]  # fmt: skip
    slots[3] = Slot("nothing", having(layer="aol"), needs="aol", detail="z")
    grid = _fill(_runs("aol", [0.5]), *slots)
    assert [cell.missing for cell in grid.cells[0]] == [False, True, True, True, False, False, True]
    assert grid.cells[0][4].published == stated
    assert grid.cells[0][5].text == "text"
    assert "\N{EN DASH} is missing: 4 of 5 cells, for want of rko, aol (z), bcop." in grid.notes


def test_values_that_are_not_finite_are_missing():
    assert _fill(_runs("aol", [float("nan")]), _slot("aol")).cells[0][0].missing


def test_given_numbers_are_no_runs():
    grid = _fill([], Slot(given=[0.5], needs="it"), Slot(given=[], needs="that"))
    assert (grid.cells[0][0].summary.mean, grid.cells[0][0].n) == (50, 0)
    assert grid.cells[0][1].missing


def test_failed_runs_are_named_with_their_error():
    failed = [
        *_runs("aol", [0.5], status="failed", error="the loss is nan"),
        *_runs("rko", [0.5], status="failed", error="another table"),
        *_runs("aol", [0.5], status="unfinished"),
        make_row("digits", folder="early", status="failed", error="no such layer", configured={}),
    ]
    grid = fill(_one_row(_slot("aol")), select(failed))
    assert [note for note in grid.notes if ":" in note and "missing" not in note] == [
        "Failed: aol/0: the loss is nan", "Unfinished: aol/0", "Failed: early: no such layer",
    ]  # fmt: skip


def test_runs_of_other_tables_are_not_said_to_be_left_out():
    again = [*_runs("aol", [0.1]), *_runs("aol", [0.2]), *_runs("rko", [0.3]), *_runs("rko", [0.4])]
    grid = fill(_one_row(_slot("aol")), select(again))
    assert "Left out: 1 run with the configuration and the seed of a newer one." in grid.notes


def test_mixed_runs_are_said_to_be():
    runs = [*_runs("aol", [0.5]), make_row("digits", "layer=aol", "trainer.max_epochs=3", values={"accuracy": 0.1})]
    grid = _fill(runs, _slot("aol"))
    assert "Runs of one cell differ in max_epochs, too, not in the seed alone." in grid.notes
    assert not any("differ" in note for note in _fill(runs, _slot("aol", mixed=True)).notes)
    assert not any("differ" in note for note in _fill(_runs("aol", [0.1, 0.2]), _slot("aol")).notes)


def test_counts_that_differ():
    grid = _fill([*_runs("aol", [0.1, 0.2]), *_runs("rko", [0.1])], _slot("aol"), _slot("rko"))
    assert grid.notes[0].startswith("Mean and deviation of the sample; n is")


def test_differences():
    runs = [*_runs("aol", [0.1, 0.2]), make_row("digits", "layer=rko")]
    assert differences(runs, "factors") == {"layer": ["aol", "rko"], "seed": [0, 1]}
