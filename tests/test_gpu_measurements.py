"""The script that measures networks on a GPU, here on the CPU with one small network."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from onelip.experiments.bench.budgets import read_budgets
from onelip.experiments.bench.measurements import read_measurements

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "gpu_measurements.sh"


def test_the_script_says_how_it_is_used():
    done = subprocess.run(["sh", str(SCRIPT), "--help"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("Measure what networks of each layer cost on a GPU")
    assert "PACKAGES" not in done.stderr
    names = subprocess.run(["sh", str(SCRIPT), "packages"], capture_output=True, text=True, check=True).stdout.split()
    assert {"lightning", "pydantic", "ruamel.yaml", "typer"} <= set(names)


@pytest.mark.slow
def test_the_script_leaves_both_tables(tmp_path):
    small = {"DEVICE": "cpu", "MODELS": "convnet-xs", "METHODS": "plain", "BATCH": "2"}
    short = {"SECONDS_PER_NETWORK": "0.01", "SECONDS_PER_EPOCH": "0.01", "PYTHON": sys.executable}
    # Images are made up where there are none.
    environment = {**os.environ, **small, **short, "XDG_CACHE_HOME": str(tmp_path), "CIFAR10_DIR": ""}
    command = ["sh", str(SCRIPT), str(tmp_path / "results")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (row,) = read_measurements(tmp_path / "results" / "measurements.csv")
    assert (row.model, row.method, row.batch, row.error) == ("convnet-xs", "plain", 2, "")
    ((budget,),) = [list(rows.values()) for rows in read_budgets(tmp_path / "results" / "budgets.yaml").values()]
    assert budget["made_up_data"]
    assert budget["steps_per_epoch"] == 24_500
