"""Proposals and pruning, which look at trials of the same cell alone."""

import math
import statistics

import pytest
from tests.experiments.sweep.sweeping import Made

from onelip.experiments.config_distributions import Choice, LogUniform
from onelip.experiments.config_sweep import Pruning
from onelip.experiments.sweep.neighbours import falls_behind, propose

TPE = """
base: digits
name: tried
optimizer: {lr: !loguniform [1e-4, 1.0]}
layer: !choice [aoc, aol, bcop]
sweep: {search: tpe, trials: %d, factors: {size: {s: {}, l: {data.batch_size: 64}}}}
"""
PRUNED = """
base: digits
name: tried
optimizer: {lr: !loguniform [1e-4, 1.0]}
sweep: {trials: 8, factors: {size: {s: {}, l: {data.batch_size: 64}}}}
"""


def proposed(made, trial, goal="maximize"):
    return propose(made.study, trial, made.spec.distributions, goal, made.spec.section.seed)


def finish(made, trial, params, value):
    study = made.study
    study.start(trial.id)
    study.set_params(trial.id, params)
    study.finish(trial.id, "complete", value)


def of_cell(made, size):
    return [trial for trial in made.trials if trial.labels["size"] == size]


def good(params):
    """Best at a learning rate of 0.1 and the layer "aol"."""
    return -((math.log10(params["optimizer.lr"]) + 1.0) ** 2) - (params["layer"] != "aol")


def test_proposals_are_in_range_and_repeat(tmp_path):
    made = Made(tmp_path, TPE % 7)
    for trial in made.trials[:12]:
        params = proposed(made, trial)
        assert params == proposed(made, trial)
        assert 1e-4 <= params["optimizer.lr"] <= 1.0
        assert params["layer"] in ("aoc", "aol", "bcop")
        finish(made, trial, params, good(params))
    assert len({trial.params["optimizer.lr"] for trial in made.trials[:12]}) == 12


def test_another_seed_proposes_something_else(tmp_path):
    made = Made(tmp_path, TPE % 2)
    trial = made.trials[0]
    first, second = (propose(made.study, trial, made.spec.distributions, "maximize", seed) for seed in (0, 1))
    assert first != second


def test_trials_of_other_cells_play_no_part(tmp_path):
    made = Made(tmp_path, TPE % 13)
    small, large = of_cell(made, "s"), of_cell(made, "l")
    for k, trial in enumerate(small[:12]):
        finish(made, trial, {"optimizer.lr": 10.0 ** (-k / 4), "layer": "aol"}, -float(k))
    before = proposed(made, small[12])
    for k, trial in enumerate(large[:12]):
        finish(made, trial, {"optimizer.lr": 10.0 ** (-4 + k / 4), "layer": "bcop"}, 100.0 - k)
    assert proposed(made, small[12]) == before


def test_trials_of_the_cell_play_a_part_and_the_goal_says_which(tmp_path):
    made = Made(tmp_path, TPE % 25)
    trials = of_cell(made, "s")
    for k, trial in enumerate(trials[:20]):
        finish(made, trial, {"optimizer.lr": 10.0 ** (-k / 5), "layer": "aol" if k < 10 else "bcop"}, -float(k))
    up, down = ([proposed(made, t, goal) for t in trials[20:25]] for goal in ("maximize", "minimize"))
    assert statistics.fmean(p["optimizer.lr"] for p in up) > 10 * statistics.fmean(p["optimizer.lr"] for p in down)


def test_it_finds_better_than_chance_does(tmp_path):
    made = Made(tmp_path, TPE % 24)
    trials = of_cell(made, "s")
    for trial in trials:
        params = proposed(made, trial)
        finish(made, trial, params, good(params))
    values = [trial.value for trial in of_cell(made, "s")]
    # The first ten are drawn by chance, as those of a random search are.
    assert statistics.fmean(values[-10:]) > statistics.fmean(values[:10]) + 0.5
    assert max(values) > -0.05


@pytest.fixture
def pruned(tmp_path):
    return Made(tmp_path, PRUNED)


def train(made, trial, curve, pruning, goal="maximize"):
    """Report values epoch by epoch; say after which one the trial fell behind, or complete it."""
    study = made.study
    study.start(trial.id)
    for epoch, value in enumerate(curve, start=1):
        study.report(trial.id, epoch, value)
        if falls_behind(study, trial.id, pruning, goal):
            study.finish(trial.id, "pruned", value)
            return epoch
    study.finish(trial.id, "complete", curve[-1])
    return None


def test_the_median_of_whole_trials_is_the_limit(pruned):
    median = Pruning(name="median", startup=3, first=2)
    trials = of_cell(pruned, "s")
    for trial, value in zip(trials, (0.2, 0.4, 0.6), strict=False):
        assert train(pruned, trial, [value / 2, value, value], median) is None
    # Not after the first epoch; then below 0.4, the median of 0.2, 0.4 and 0.6.
    assert train(pruned, trials[3], [0.0, 0.39, 0.9], median) == 2
    assert train(pruned, trials[4], [0.0, 0.41, 0.41], median) is None


def test_the_median_waits_for_whole_trials_of_its_own_cell(pruned):
    median = Pruning(name="median", startup=2, first=1)
    small, large = of_cell(pruned, "s"), of_cell(pruned, "l")
    for trial in small[:4]:
        assert train(pruned, trial, [0.9, 0.9], median) is None
    assert train(pruned, large[0], [0.1, 0.1], median) is None
    assert train(pruned, large[1], [0.05, 0.05], median) is None
    assert train(pruned, large[2], [0.01], median) == 1
    assert train(pruned, small[4], [0.1], median) == 1


def test_a_goal_to_minimize_turns_the_median_round(pruned):
    median = Pruning(name="median", startup=2, first=1)
    trials = of_cell(pruned, "s")
    for trial in trials[:2]:
        assert train(pruned, trial, [0.5], median, "minimize") is None
    assert train(pruned, trials[2], [0.4], median, "minimize") is None
    assert train(pruned, trials[3], [0.6], median, "minimize") == 1


def test_successive_halving_keeps_the_best_of_each_rung(pruned):
    halving = Pruning(name="successive-halving", first=2, reduction=2)
    small = of_cell(pruned, "s")
    # Rungs at 2, 4 and 8 epochs. The first has nobody to compete with.
    assert train(pruned, small[0], [0.5] * 8, halving) is None
    # 0.4 is the worse of two at the first rung, where half of them go on.
    assert train(pruned, small[1], [0.9, 0.4, 0.9], halving) == 2
    # 0.6 is the best of three there, and at 4 epochs the worse of 0.5 and 0.45.
    assert train(pruned, small[2], [0.1, 0.6, 0.6, 0.45], halving) == 4
    # Of 0.5, 0.4, 0.6 and 0.55 the best two go on; at 4 epochs 0.7 is the best of three.
    assert train(pruned, small[3], [0.1, 0.55, 0.6, 0.7], halving) is None


def test_successive_halving_compares_with_nothing_of_other_cells(pruned):
    halving = Pruning(name="successive-halving", first=1, reduction=2)
    small, large = of_cell(pruned, "s"), of_cell(pruned, "l")
    for trial, value in zip(small[:4], (0.9, 0.8, 0.95, 0.99), strict=True):
        train(pruned, trial, [value] * 2, halving)
    assert train(pruned, large[0], [0.1] * 2, halving) is None
    assert train(pruned, large[1], [0.05] * 2, halving) == 1


def test_the_view_of_a_cell_does_not_touch_other_trials(pruned):
    median = Pruning(name="median", startup=1, first=1)
    trials = of_cell(pruned, "s")
    train(pruned, trials[0], [0.5], median)
    train(pruned, trials[1], [0.1], median)
    states = [trial.state for trial in pruned.trials]
    assert sorted(states) == ["complete", "pruned", *["waiting"] * 14]


def test_a_choice_of_lists_is_proposed_as_lists(tmp_path):
    text = TPE.replace("layer: !choice [aoc, aol, bcop]", "model: {widths: !choice [[8], [16, 16]]}") % 2
    made = Made(tmp_path, text)
    assert made.spec.distributions == {
        "model.widths": Choice(([8], [16, 16])), "optimizer.lr": LogUniform(1e-4, 1.0),
    }  # fmt: skip
    assert proposed(made, made.trials[0])["model.widths"] in ([8], [16, 16])
