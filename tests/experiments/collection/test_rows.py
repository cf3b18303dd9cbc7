"""Runs as rows, whatever there is of each."""

import pytest
from tests.experiments.collection.made_runs import certified_results, make_run

from onelip.experiments.collection import collect, curve

METRICS = (
    "epoch,train_loss,train_accuracy,val_loss,val_accuracy,val_certified_accuracy,learning_rate,seconds,minutes\n"
    "0,2.0,0.5,1.5,0.5,0.3,0.1,4.0,0.1\n"
    "1,1.0,0.7,,,,0.1,2.0,0.2\n"
    "2,0.9,0.8,1.0,0.6,0.2,0.1,2.0,0.2\n"
)


def _row(folder, *args, **options):
    return collect([make_run(folder, *args, **options)])[0]


def test_a_finished_run(tmp_path):
    results = certified_results(0.9, {"0.25": 0.8}, weights={"rule": "last", "epoch": 3})
    row = _row(tmp_path / "digits" / "1", "digits", "seed=4", results=results, metrics=METRICS)
    assert (row.folder, row.name, row.task) == (tmp_path / "digits" / "1", "digits", "classification")
    assert (row.status, row.error, row.stage, row.params) == ("finished", "", "", {})
    assert row.factors["seed"] == 4
    assert "weight_decay" not in row.factors
    assert row.configured["weight_decay"] == 0.0
    assert row.values["certified@0.25"] == 0.8
    assert row.values["val_certified_accuracy"] == 0.2
    assert row.values["seconds_per_epoch"] == 2.0
    assert "learning_rate" not in row.values


def test_the_numbers_of_results_win_over_those_of_metrics(tmp_path):
    results = certified_results(0.9, {}, train_seconds=1.25, epochs=7)
    row = _row(tmp_path / "1", "digits", results=results, metrics=METRICS)
    assert (row.values["train_seconds"], row.values["epochs"]) == (1.25, 7)


@pytest.mark.parametrize(("weights", "certified"), [("best", 0.3), ("last", 0.2)])
def test_an_unfinished_run_has_what_it_would_keep(tmp_path, weights, certified):
    row = _row(tmp_path / "1", "digits", f"certify.weights={weights}", metrics=METRICS)
    assert row.status == "unfinished"
    assert row.values["val_certified_accuracy"] == certified


def test_a_run_that_has_only_begun(tmp_path):
    row = _row(tmp_path / "1", "digits")
    assert (row.status, row.values) == ("unfinished", {})


def test_a_training_that_stopped(tmp_path):
    row = _row(tmp_path / "1", "digits", failure={"message": "the loss is\nnan in epoch 3"}, metrics=METRICS)
    assert (row.status, row.error) == ("failed", "the loss is nan in epoch 3")
    assert row.values["epochs"] == 3


def test_trials_of_a_sweep(tmp_path):
    trial = {
        "sweep": "it", "stage": "search", "trial": 7, "factors": {"method": "ours", "seed": 0, "data": "small"},
        "draw": 0, "params": {"optimizer.lr": 0.0123}, "metric": "val_certified_accuracy",
    }  # fmt: skip
    ended = trial | {"state": "complete", "value": 0.87, "seconds": 12.5}
    row = _row(tmp_path / "1", "digits", "seed=5", trial=ended, metrics=METRICS)
    assert (row.status, row.stage, row.params) == ("finished", "search", {"optimizer.lr": 0.0123})
    assert (row.values["objective"], row.values["trial_seconds"]) == (0.87, 12.5)
    # The seed is that of the configuration, and other factors those of the sweep.
    assert (row.factors["method"], row.factors["data"], row.factors["seed"]) == ("ours", "small", 5)
    assert (row.configured["data"], row.configured["layer"]) == ("digits", "bjorck")
    assert _row(tmp_path / "2", "digits", trial=trial, metrics=METRICS).status == "unfinished"
    assert _row(tmp_path / "3", "digits", trial=trial | {"state": "pruned"}).status == "pruned"
    failed = _row(tmp_path / "4", "digits", trial=trial | {"state": "failed", "error": "out of\nmemory"})
    assert (failed.status, failed.error) == ("failed", "out of memory")


def test_a_trial_that_failed_before_it_had_a_configuration(tmp_path):
    (tmp_path / "sweep" / "0").mkdir(parents=True)
    trial = '{"stage": "search", "factors": {"method": "x", "seed": 1}, "state": "failed", "error": "no such layer"}'
    (tmp_path / "sweep" / "0" / "trial.json").write_text(trial)
    row = collect([tmp_path])[0]
    assert (row.name, row.status, row.error) == ("sweep", "failed", "no such layer")
    assert row.factors == {"method": "x", "seed": 1}


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("results.json", b"{", "results.json cannot be read"),
        ("results.json", b"\xff", "results.json cannot be read"),
        ("results.json", b"[]", "results.json is not a mapping"),
        ("results.json", b'{"certified": 3}', "results.json is not the results of a run"),
        ("trial.json", b"{", "trial.json cannot be read"),
        ("metrics.csv", b"epoch,seconds\n0,x\n", "metrics.csv cannot be read"),
        ("metrics.csv", b"epoch,val_accuracy\nx,1\n", "metrics.csv cannot be read"),
        ("config.yaml", b"\xff", "config.yaml cannot be read"),
        ("config.yaml", b"name: [", "config.yaml cannot be read"),
    ],
)
def test_a_broken_file_is_the_error_of_its_run(tmp_path, name, content, sentence):
    make_run(tmp_path / "1", "digits", results=certified_results(0.5, {}))
    broken = make_run(tmp_path / "2", "digits", results=certified_results(0.9, {}))
    (broken / name).write_bytes(content)
    whole, row = collect([tmp_path])
    assert (whole.status, row.status) == ("finished", "failed")
    assert row.error.startswith(sentence)
    assert "\n" not in row.error
    assert curve(row, "nothing") == []


def test_other_tasks(tmp_path):
    critic = {"lower_bound": 0.99, "lipschitz_bound": {"value": 1.0, "proved": True, "method": "x"}, "unit": "l2"}
    row = _row(tmp_path / "1", "wasserstein-cones", results=critic)
    assert (row.task, row.values["lower_bound"], row.factors["data"]) == ("wasserstein", 0.99, "3 shells in 2-D")
    gan = _row(tmp_path / "2", "gan-digits", results={"frechet": {"squared_distance": 3.0}})
    assert (gan.task, gan.values["frechet_sq"], gan.factors["critic"]) == ("gan", 3.0, "lipschitz")
    clipped = _row(tmp_path / "3", "clipping-digits-fastclip-clipbn", results={"clean_accuracy": 0.8, "mode": "clipBN"})
    assert (clipped.values["clean_accuracy"], clipped.factors["mode"]) == (0.8, "clipBN")


def test_curves_are_columns_of_metrics(tmp_path):
    row = _row(tmp_path / "1", "digits", metrics=METRICS + "3,0.8,0.9")
    assert curve(row, "val_accuracy") == [(0, 0.5), (2, 0.6)]
    assert curve(row, "train_loss") == [(0, 2.0), (1, 1.0), (2, 0.9)]
    assert curve(row, "nothing") == []
    assert curve(_row(tmp_path / "2", "digits"), "train_loss") == []
