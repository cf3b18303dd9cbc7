"""Which runs count."""

from tests.experiments.collection.made_runs import certified_results, make_row, make_run

from onelip.experiments.collection import collect
from onelip.experiments.tables.selection import select


def _folders(selected):
    return [str(row.folder) for row in selected.runs]


def _notes(selected):
    return selected.notes(lambda row: True)


def test_runs_that_did_not_end_do_not_count():
    rows = [make_row("digits", folder="a"), make_row("digits", "seed=1", folder="b", status="failed", error="it broke")]
    rows.append(make_row("digits", "seed=2", folder="c", status="unfinished"))
    selected = select(rows)
    assert _folders(selected) == ["a"]
    assert [str(row.folder) for row in selected.others] == ["b", "c"]
    assert _notes(selected) == []


def _draw(folder, objective, seed=0, **others):
    options = {"stage": "search", "goal": "maximize", "factors": {"method": "aoc", "seed": seed}} | others
    return make_row("digits", f"seed={seed}", folder=folder, values={"objective": objective}, **options)


def test_of_a_search_the_best_draw_of_each_cell_counts():
    rows = [_draw("s/0", 0.1), _draw("s/1", 0.5), _draw("s/2", 0.3), _draw("s/3", 0.2, seed=1), _draw("t/0", 0.0)]
    selected = select(rows)
    assert _folders(selected) == ["s/1", "s/3", "t/0"]
    assert _notes(selected) == ["Of a search, the best draw of each cell counts; 2 runs of other draws left out."]
    smallest = select([_draw("s/0", 0.1, goal="minimize"), _draw("s/1", 0.5, goal="minimize")])
    assert _folders(smallest) == ["s/0"]


def test_a_final_stage_stands_for_its_search():
    rows = [_draw("s/0", 0.9), _draw("f/0", 0.5, stage="final"), make_row("digits", "layer=aol", folder="other")]
    selected = select(rows)
    assert _folders(selected) == ["f/0", "other"]
    assert _notes(selected) == ["Left out: 1 run of a search whose final stage is there."]
    assert selected.notes(lambda row: row.stage != "search") == []


def test_a_run_that_was_made_again_counts_once(tmp_path):
    for name, change in (("1", "seed=0"), ("2", "seed=0"), ("3", "seed=1"), ("4", "data.batch_size=32")):
        make_run(tmp_path / name, "digits", change, results=certified_results(0.5, {}))
    selected = select(collect([tmp_path]))
    # Another batch size is another run, though no factor tells them apart.
    assert [row.folder.name for row in selected.runs] == ["2", "3", "4"]
    assert _notes(selected) == ["Left out: 1 run with the configuration and the seed of a newer one."]
