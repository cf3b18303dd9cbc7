"""Measurements from the files of `onelip bench`."""

import pytest

from onelip.experiments import UserError
from onelip.experiments.bench.budgets import write_budget
from onelip.experiments.bench.measurements import Measurement, append_measurement
from onelip.experiments.tables.measured_costs import read_costs


def test_measurements(tmp_path):
    row = Measurement("a machine", "cpu", "1.0", "2026-01-02", "convnet-xs", "aol", 256, 32, 10, train_seconds=0.5)
    append_measurement(tmp_path / "costs.csv", row)
    assert read_costs(str(tmp_path / "costs.csv")) == ([row], {})


def test_budgets(tmp_path):
    file = tmp_path / "budgets.yaml"
    for machine, name, seconds in (("a", "x", 3.0), ("b", "x trainer.threads=1", 2.5), ("b", "y", 7)):
        write_budget(file, machine, name, {"seconds_per_epoch": seconds, "epochs": 9, "hours": 2.0})
    write_budget(file, "b", "z", {"error": "out of memory"})
    assert read_costs(str(file)) == ([], {"x": 2.5, "y": 7.0})


@pytest.mark.parametrize("name", ["nowhere.csv", "nowhere.yaml"])
def test_no_file(tmp_path, name):
    with pytest.raises(UserError, match=f"{name}: there are no .*; make some with: onelip bench"):
        read_costs(str(tmp_path / name))
