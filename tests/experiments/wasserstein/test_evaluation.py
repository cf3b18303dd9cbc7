"""A run from its command to its page."""

import json

import numpy as np
import pytest
from safetensors.numpy import load_file

from onelip.experiments import UserError, commands, inspection, latest_run
from onelip.experiments.recorder import read_metrics

SMALL = [
    "model.widths=[8]", "trainer.max_steps=20", "trainer.validate_every=10", "evaluation.n_samples=64",
    "evaluation.n_discrete=32", "evaluation.n_monitor=32", "trainer.accelerator=cpu",
]  # fmt: skip
CONES = "wasserstein-cones"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    runs = tmp_path_factory.mktemp("runs")
    commands.train(CONES, [*SMALL, f"runs_dir={runs}"], resume=False)
    return latest_run(CONES, runs)


def test_the_results_hold_bound_error_constant_and_exact_values(run):
    results = json.loads(run.results_file.read_text("utf-8"))
    assert results["exact"] == pytest.approx(1, abs=1e-6)
    assert results["lipschitz_bound"]["proved"]
    assert 0.9 < results["lipschitz_bound"]["value"] < 1.00001
    assert results["lower_bound"] <= 1 + 3 * results["standard_error"]
    assert results["discrete"]["lower_bound"] <= results["discrete"]["exact"]
    assert results["interval"][0] < results["difference"] / results["lipschitz_bound"]["value"] < results["interval"][1]


def test_every_file_of_a_run_is_there(run):
    page = (run.path / "report.html").read_text("utf-8")
    assert page.count("data:image/png;base64,") == 2
    assert [row["epoch"] for row in read_metrics(run)] == [0, 1]
    weights = load_file(run.weights_file)
    assert any(name.endswith("weight") for name in weights)
    # The weights are those that the constant is of.
    norms = [np.linalg.norm(w.astype(float), 2) for name, w in weights.items() if name.endswith("weight")]
    bound = json.loads(run.results_file.read_text("utf-8"))["lipschitz_bound"]["value"]
    assert np.prod(norms) <= bound * (1 + 1e-6) + 1e-6


def test_a_finished_run_is_measured_once_more_to_the_same_numbers(run):
    before = json.loads(run.results_file.read_text("utf-8"))
    commands.train(str(run.path), [], resume=True)
    after = json.loads(run.results_file.read_text("utf-8"))
    for key in ("lower_bound", "standard_error", "difference", "discrete", "train_seconds"):
        assert before[key] == after[key]


def test_the_page_is_written_again_by_its_own_command(run):
    page = run.path / "report.html"
    before = page.read_text("utf-8")
    page.unlink()
    inspection.report(str(run.path))
    assert page.read_text("utf-8") == before
    with pytest.raises(UserError, match="--pictures is for classifiers"):
        inspection.report(str(run.path), pictures=True)


@pytest.mark.parametrize("command", [commands.certify, commands.attack])
def test_commands_for_classifiers_refuse_it(run, command):
    with pytest.raises(UserError, match="is a run of task=wasserstein, and this is for classifiers only"):
        command(str(run.path))
