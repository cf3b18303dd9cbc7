"""Scores of methods along six axes."""

import math

import pytest
from tests.experiments.collection.made_runs import make_row
from tests.experiments.tables.templates.shipped import slots_of

from onelip.experiments.bench.measurements import Measurement
from onelip.experiments.tables.templates import Inputs
from onelip.experiments.tables.templates.layers_compared_radar import AXES, radar_scores, scores


def _run(config, **values):
    return make_row(config, values=values, folder=config)


def _cost(method, model="convnet-xs", **numbers):
    return Measurement("a machine", "cpu", "1.0", "2026-01-02", model, method, 256, 32, 10, **numbers)


def test_shares_are_in_proportion_and_costs_in_logarithms():
    assert scores({"a": 0.2, "b": 0.6, "c": 0.3}, cost=False) == pytest.approx({"a": 1, "b": 5, "c": 2})
    assert scores({"a": 1.0, "b": 100.0, "c": 10.0}, cost=True) == pytest.approx({"a": 5, "b": 1, "c": 3})
    assert scores({"a": 0.5, "b": 0.5}, cost=False) == {"a": 5.0, "b": 5.0}


def test_scores_are_means_over_comparisons():
    runs = [
        _run("layers-compared-xs-aol", accuracy=0.5), _run("layers-compared-xs-soc", accuracy=0.7),
        _run("layers-compared-cifar100-m-aol", accuracy=0.4), _run("layers-compared-cifar100-m-soc", accuracy=0.2),
        _run("layers-compared-cifar100-m-cpl", accuracy=0.3),
        # Alone, and so compared with nothing.
        _run("layers-compared-s-bcop", accuracy=0.9),
    ]  # fmt: skip
    found = radar_scores(Inputs(runs))
    assert found["accuracy"] == pytest.approx({"aol": (1 + 5) / 2, "soc": (5 + 1) / 2, "cpl": 3})
    assert found["robust accuracy"] == {}


def test_seeds_count_as_one():
    runs = [_run("layers-compared-xs-aol", accuracy=0.5), _run("layers-compared-xs-soc", accuracy=0.7)]
    runs += [make_row("layers-compared-xs-aoc", f"seed={s}", values={"accuracy": a}) for s, a in enumerate((0.5, 0.7))]
    assert radar_scores(Inputs(runs))["accuracy"]["aoc"] == pytest.approx(3)


def test_costs_come_of_measurements():
    costs = [
        _cost("aol", train_seconds=1.0, eval_seconds=0.1), _cost("soc", train_seconds=math.e, eval_seconds=0.1),
        _cost("plain", train_seconds=0.01), _cost("cpl", model="convnet-m", train_seconds=1e-9),
    ]  # fmt: skip
    runs = [
        _run("layers-compared-xs-cpl", seconds_per_epoch=1.0),
        _run("layers-compared-xs-aol", seconds_per_epoch=2.0),
    ]
    found = radar_scores(Inputs(runs, costs))
    assert found["train time"] == pytest.approx({"aol": 5, "soc": 1})
    assert found["inference time"] == {"aol": 5.0, "soc": 5.0}
    assert found["train memory"] == {}
    # Without measurements it is the time of runs.
    assert radar_scores(Inputs(runs))["train time"] == pytest.approx({"cpl": 5, "aol": 1})


def test_the_table_has_the_published_scores_apart():
    found = {(*row, *column): slot for row, column, slot in slots_of("layers-compared-radar")}
    assert len(found) == 8 * len(AXES)
    assert found["SOC", "robust accuracy"].published.text == "5"
    assert found["SOC", "robust accuracy"].given == []
    assert found["AOC (ours)", "accuracy"].published is None
