"""Budgets: measured once for each cell, and turned into as many epochs as fit."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.experiments.sweep.sweeping import Made, Training

from onelip.experiments import UserError
from onelip.experiments.bench.epoch_time import EpochTime
from onelip.experiments.config_file import load_any_config
from onelip.experiments.sweep import budget
from onelip.experiments.sweep.budget import budget_file, within_budget
from onelip.experiments.sweep.files import SweepFolder
from onelip.experiments.sweep.spec import Cell

BUDGET = """
base: digits
name: tried
trainer: {max_epochs: null, max_minutes: 5}
optimizer: {lr: !loguniform [1e-3, 1e-1]}
sweep:
  budget: 100s
  trials: 2
  factors: {method: {a: {layer: aoc}, b: {layer: aol}}, seed: [0, 1]}
  final: {seeds: [0], budget: 1000s}
"""


@pytest.fixture
def measured(monkeypatch):
    """Epochs of 30 seconds with "aoc" and 40 seconds otherwise; which configurations were measured."""
    configs, lock = [], threading.Lock()

    def measure(config):
        with lock:
            configs.append(config)
        each = 30.0 if getattr(config, "layer", "") == "aoc" else 40.0
        return EpochTime(each / 10, 10, 0.0, 0.0, 1, "a machine", made_up=False)

    monkeypatch.setattr(budget, "measure_epoch", measure)
    return configs


def test_what_fits_is_whole_epochs(tmp_path, measured):
    folder, cell = SweepFolder(tmp_path), Cell({"m": "a", "seed": 1})
    config = load_any_config("digits", ["layer=aoc"])
    assert within_budget(config, 100.0, folder, cell) == [("trainer.max_epochs", 3), ("trainer.max_minutes", None)]
    assert within_budget(config, 30.0, folder, Cell({"m": "a", "seed": 2}))[0] == ("trainer.max_epochs", 1)
    assert len(measured) == 1
    kept = json.loads(budget_file(folder, cell).read_text())
    assert (kept["cell"], kept["seconds_per_step"], kept["machine"]) == ("m=a, seed=1", 3.0, "a machine")
    within_budget(config, 100.0, folder, Cell({"m": "b"}))
    assert len(measured) == 2


def test_tasks_that_draw_samples_get_steps(tmp_path, measured):
    config = load_any_config("wasserstein-digits")
    assert within_budget(config, 100.0, SweepFolder(tmp_path), Cell({})) == [("trainer.max_steps", 20)]


def test_too_little_time_is_one_sentence(tmp_path, measured):
    with pytest.raises(UserError, match=r"^m=a: one epoch takes 40 seconds, longer than the budget of 39$"):
        within_budget(load_any_config("digits", ["layer=aol"]), 39.0, SweepFolder(tmp_path), Cell({"m": "a"}))


def test_of_many_at_once_one_measures(tmp_path, measured):
    folder, cell, config = SweepFolder(tmp_path), Cell({"m": "a"}), load_any_config("digits", ["layer=aoc"])
    with ThreadPoolExecutor(8) as pool:
        changes = list(pool.map(lambda _: within_budget(config, 100.0, folder, cell), range(8)))
    assert len(measured) == 1
    assert all(change[0] == ("trainer.max_epochs", 3) for change in changes)


def test_both_stages_have_budgets_of_their_own_from_the_same_measurements(tmp_path, measured):
    search, training = Made(tmp_path, BUDGET), Training()
    search.worker(training).run()
    epochs = {search.trials[n].labels["method"]: c.trainer.max_epochs for n, c in training.configs.items()}
    assert epochs == {"a": 3, "b": 2}
    assert {c.trainer.max_minutes for c in training.configs.values()} == {None}
    final, training = Made(tmp_path, BUDGET, stage="final"), Training()
    final.worker(training).run()
    epochs = {final.trials[n].labels["method"]: c.trainer.max_epochs for n, c in training.configs.items()}
    assert epochs == {"a": 33, "b": 25}
    assert len(measured) == 2


def test_a_cell_whose_epochs_are_too_long_fails_with_its_row(tmp_path, measured):
    made = Made(tmp_path, BUDGET, "sweep.budget=35", "sweep.trials=1")
    training = Training()
    made.worker(training).run()
    assert [t.state for t in made.trials] == ["complete", "complete", "failed", "failed"]
    assert made.trials[2].error == "method=b, seed=0: one epoch takes 40 seconds, longer than the budget of 35"
    record = made.record(2)
    assert record["factors"] == {"method": "b", "seed": 0}
    assert record["params"] == made.trials[2].params
    assert (record["state"], record["error"]) == ("failed", made.trials[2].error)
