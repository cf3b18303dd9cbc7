"""Which trials a sweep has: fair in their order, and functions of the file alone."""

import itertools

import pytest
from tests.experiments.sweep.sweeping import read

from onelip.experiments.sweep.plan import draw_params, plan_search

SEEDS = """
base: digits
name: tried
optimizer: {lr: !loguniform [1e-3, 1e-1], weight_decay: !uniform [0, 1e-3]}
sweep:
  trials: 3
  factors: {method: {a: {layer: aoc}, b: {layer: aol}}, seed: [0, 1]}
"""


def rows(plan):
    return [(t.number, str(t.cell), t.draw, None if t.params is None else dict(t.params)) for t in plan]


def test_every_cell_has_its_first_draw_before_any_has_its_second(tmp_path):
    plan = plan_search(read(tmp_path, SEEDS))
    assert [t.number for t in plan] == list(range(12))
    assert [t.draw for t in plan] == [0] * 4 + [1] * 4 + [2] * 4
    assert [str(t.cell) for t in plan[:4]] == [str(t.cell) for t in plan[4:8]]
    assert len({str(t.cell) for t in plan}) == 4


def test_more_draws_leave_the_first_as_they_are(tmp_path):
    few, many = (plan_search(read(tmp_path, SEEDS, f"sweep.trials={n}")) for n in (2, 5))
    assert rows(many)[:8] == rows(few)


def test_draws_are_the_same_for_all_seeds_and_differ_otherwise(tmp_path):
    plan = plan_search(read(tmp_path, SEEDS))
    of_cell = {str(t.cell): t.params for t in plan if t.draw == 0}
    assert of_cell["method=a, seed=0"] == of_cell["method=a, seed=1"]
    rates = {t.params["optimizer.lr"] for t in plan}
    assert len(rates) == 6


def test_a_draw_depends_on_seed_cell_path_and_number_alone(tmp_path):
    spec = read(tmp_path, SEEDS)
    cell = spec.cells()[0]
    drawn = draw_params(spec, cell, 0)
    assert drawn == pytest.approx(
        {"optimizer.lr": 0.02820909963271303, "optimizer.weight_decay": 0.0005360089834098118}
    )
    fewer = read(tmp_path, SEEDS.replace(", weight_decay: !uniform [0, 1e-3]", "").replace("b: {layer: aol}", "c: {}"))
    assert draw_params(fewer, fewer.cells()[0], 0) == {"optimizer.lr": drawn["optimizer.lr"]}
    assert draw_params(spec, cell, 1) != drawn
    assert draw_params(read(tmp_path, SEEDS, "sweep.seed=1"), cell, 0) != drawn


def test_a_grid_is_the_full_product(tmp_path):
    text = (
        "base: digits\nname: tried\nlayer: !choice [aoc, aol]\nseed: !randint [3, 5]\n"
        "optimizer: {lr: !uniform [0.1, 0.3]}\n"
        "sweep: {search: grid, points: 2, factors: {trainer.max_epochs: [1, 2]}}\n"
    )
    plan = plan_search(read(tmp_path, text))
    expected = set(itertools.product((1, 2), ("aoc", "aol"), (3, 5), (0.1, 0.3)))
    found = [(t.cell.labels["trainer.max_epochs"], *map(t.params.get, ("layer", "seed", "optimizer.lr"))) for t in plan]
    assert set(found) == expected
    assert len(found) == len(expected)


def test_with_nothing_to_draw_each_cell_has_one_trial(tmp_path):
    text = "base: digits\nname: tried\nsweep: {search: %s, factors: {seed: [0, 1, 2]}}\n"
    for search in ("random", "tpe", "grid"):
        plan = plan_search(read(tmp_path, text % search))
        assert [(t.cell.labels["seed"], t.params) for t in plan] == [(0, {}), (1, {}), (2, {})]


def test_tpe_leaves_parameters_open_and_the_usual_number_of_draws_is_sixteen(tmp_path):
    plan = plan_search(read(tmp_path, SEEDS.replace("  trials: 3\n", "  search: tpe\n")))
    assert [t.params for t in plan] == [None] * 4 * 16
