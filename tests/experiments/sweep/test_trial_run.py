"""What trials are compared by, and one trial: its training, what follows it, and its score."""

import subprocess
import sys

import pytest
from tests.experiments.sweep.sweeping import read

from onelip.experiments import UserError, load_config
from onelip.experiments.config_file import load_any_config
from onelip.experiments.config_sweep import Sweep
from onelip.experiments.errors import CommandFailedError
from onelip.experiments.recorder import read_metrics
from onelip.experiments.run_folder import run_folder_at
from onelip.experiments.sweep import trial_run
from onelip.experiments.sweep.trial_run import metric_of, run_trial, score

SMALL = ["trainer.threads=1", "trainer.max_epochs=2", "model.widths=[8]", "layer=plain", "data.batch_size=512"]


@pytest.mark.parametrize(
    ("name", "changes", "metric"),
    [
        ("digits", [], ("val_certified_accuracy", "maximize")),
        ("digits", ["certify=null"], ("val_accuracy", "maximize")),
        ("gan-digits", [], ("frechet_sq", "minimize")),
        ("wasserstein-digits", [], ("lower_bound", "maximize")),
    ],
)
def test_each_task_has_its_usual_metric(name, changes, metric):
    config = load_any_config(name, changes)
    assert metric_of(Sweep(), config) == metric
    assert metric_of(Sweep(metric="train_loss", goal="minimize"), config) == ("train_loss", "minimize")
    assert metric_of(Sweep(goal="minimize"), config) == (metric[0], "minimize")


@pytest.mark.parametrize(
    ("section", "changes", "sentence"),
    [
        (Sweep(metric="val_loss"), [], r"sweep\.metric=val_loss needs sweep\.goal, maximize or minimize"),
        (
            Sweep(),
            ["data.validation=0"],
            r"data\.validation=0 holds no images out, so there is no val_certified_accuracy",
        ),
    ],
)
def test_a_metric_that_cannot_be_compared_is_refused(section, changes, sentence):
    with pytest.raises(UserError, match=sentence):
        metric_of(section, load_config("digits", changes))


def test_without_images_held_out_another_metric_may_be_compared():
    config = load_config("digits", ["data.validation=0"])
    assert metric_of(Sweep(metric="train_loss", goal="minimize"), config)[0] == "train_loss"


ROWS = """epoch,train_loss,val_accuracy,val_certified_accuracy
0,5,0.9,0.5
1,4,0.7,0.8
2,3,0.6,0.8
3,2,0.7,0.8
4,1,0.95,0.7
5,0,,
"""


@pytest.fixture
def rows(tmp_path):
    def make(*changes):
        config = load_config("digits", [f"runs_dir={tmp_path}", *changes])
        folder = run_folder_at(tmp_path / "run", config)
        folder.metrics_file.write_text(ROWS)
        return config, folder

    return make


@pytest.mark.parametrize(
    ("changes", "metric", "value"),
    [
        # The best certified accuracy, then accuracy, then the later one: epoch 3.
        (["certify.weights=best"], "val_certified_accuracy", 0.8),
        (["certify.weights=best"], "val_accuracy", 0.7),
        (["certify.weights=best"], "train_loss", 2.0),
        (["certify.weights=last"], "val_certified_accuracy", 0.7),
        (["certify.weights=last"], "val_accuracy", 0.95),
        (["certify.weights=last"], "train_loss", 0.0),
    ],
)
def test_the_score_is_that_of_the_weights_that_are_kept(rows, changes, metric, value):
    assert score(*rows(*changes), metric) == value


def test_a_metric_that_was_not_measured_is_one_sentence(rows):
    with pytest.raises(
        UserError, match=r"sweep\.metric=val_acc is no column of .*metrics\.csv, which has epoch, train_loss"
    ):
        score(*rows(), "val_acc")


def test_a_trial_goes_on_after_its_last_checkpoint_and_is_evaluated_if_asked(tmp_path, monkeypatch):
    evaluated = []
    monkeypatch.setattr(trial_run, "evaluate_run", lambda experiment, folder: evaluated.append(folder.path))
    config = load_config("digits", [f"runs_dir={tmp_path}", *SMALL])
    folder = run_folder_at(tmp_path / "run", config)
    run_trial(config, folder, evaluate=False)
    first = folder.metrics_file.read_text()
    assert len(read_metrics(folder)) == 2
    longer = config.model_copy(update={"trainer": config.trainer.model_copy(update={"max_epochs": 3})})
    run_trial(longer, folder, evaluate=True)
    assert folder.metrics_file.read_text().startswith(first)
    assert len(read_metrics(folder)) == 3
    assert evaluated == [folder.path]


def test_a_task_that_draws_its_samples_runs_with_callbacks(tmp_path, monkeypatch):
    class Kind:
        def __init__(self):
            self.calls = []

        def prepare(self, config):
            return type("Prepared", (), {"config": config.model_copy(update={"seed": 5})})

        def train(self, prepared, folder, callbacks):
            self.calls.append(("train", callbacks))

        def evaluate(self, prepared, folder):
            self.calls.append("evaluate")

    kind = Kind()
    monkeypatch.setattr(trial_run, "sampled_task", lambda task: kind)
    config = load_any_config("wasserstein-digits", [f"runs_dir={tmp_path}"])
    folder = run_folder_at(tmp_path / "run", config)
    run_trial(config, folder, evaluate=False, callbacks=["mine"])
    run_trial(config, folder, evaluate=True)
    assert kind.calls == [("train", ["mine"]), ("train", ()), "evaluate"]
    # What became definite when it was prepared stays so.
    assert folder.any_config().seed == 5


@pytest.mark.parametrize(
    ("code", "ends_with", "exit_code"),
    [
        ("pass", None, 0),
        ("import sys; sys.exit(143)", "ended with exit code 143", 143),
        ("import os; os.kill(os.getpid(), 9)", "was killed by signal 9", 1),
    ],
)
def test_several_processes_are_those_of_the_command(tmp_path, monkeypatch, code, ends_with, exit_code):
    commands, real = [], subprocess.Popen

    def instead(command, **options):
        commands.append(command)
        assert options == {"close_fds": False}
        return real([sys.executable, "-S", "-c", code])

    monkeypatch.setattr(subprocess, "Popen", instead)
    config = load_config("digits", [f"runs_dir={tmp_path}", "trainer.devices=2", *SMALL])
    folder = run_folder_at(tmp_path / "run", config)
    if ends_with is None:
        run_trial(config, folder, evaluate=True)
    else:
        with pytest.raises(CommandFailedError, match=ends_with) as caught:
            run_trial(config, folder, evaluate=True)
        assert caught.value.exit_code == exit_code
    assert commands == [[sys.executable, "-m", "onelip", "train", "--resume", str(folder.path)]]


def test_the_sweep_of_the_tests_is_compared_by_certified_accuracy(tmp_path):
    spec = read(tmp_path)
    config = spec.config(spec.cells()[0], spec.typical, (), ("runs", "x"))
    assert metric_of(spec.section, config) == ("val_certified_accuracy", "maximize")
