"""Orthonormal fine-tuning from the command, and what it says of before and after."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file

from onelip.experiments import commands, latest_run
from onelip.experiments.evaluation import read_json

SMALL = [
    "trainer.threads=1", "trainer.max_epochs=1", "model.widths=[16]", "data.batch_size=256", "attack=null",
    "certify.max_samples=40",
]  # fmt: skip


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    commands.train("digits-few-steps", [*SMALL, f"runs_dir={folder}"], resume=False)
    return folder


def test_accuracy_and_constant_before_and_after(runs, capsys):
    commands.train("digits-orthonormal-finetune", [*SMALL, f"runs_dir={runs}"], resume=False)
    said = capsys.readouterr().out
    few, tuned = latest_run("digits-few-steps", runs), latest_run("digits-orthonormal-finetune", runs)
    facts, results = read_json(tuned.start_file), read_json(tuned.results_file)
    assert results["start"] == facts
    before = read_json(few.results_file)
    assert facts["before"] == {key: before[key] for key in ("accuracy", "certified", "lipschitz_bound")}
    assert facts["run"] == str(few.path)
    assert facts["largest_change"] > 0
    assert tuned.config().start.run == str(few.path)
    begun = facts["begun"]
    assert begun["lipschitz_bound"]["proved"]
    assert begun["lipschitz_bound"]["value"] <= 1 + 1e-5
    weights = load_file(tuned.start_weights_file)
    raw = weights["network.dense1.raw_weight"].double()
    torch.testing.assert_close(raw @ raw.T, torch.eye(16, dtype=torch.float64), atol=1e-5, rtol=0)
    for name, row in (("the run it began with", before), ("its weights in these layers", begun), ("after", results)):
        line = next(line for line in said.splitlines() if line.startswith(name))
        assert f"test accuracy {row['accuracy']:.2%}, constant <= " in line
        assert line.endswith(" (proved)")
        shown = float(line.split("<= ")[1].split()[0])
        assert row["lipschitz_bound"]["value"] <= shown <= row["lipschitz_bound"]["value"] + 2e-7


def test_without_a_certificate_only_accuracies_are_said(runs, capsys):
    changes = ["certify=null", "name=uncertified", "layer=plain", "data.validation=0.1"]
    commands.train("digits-orthonormal-finetune", [*SMALL[:-1], f"runs_dir={runs}", *changes], resume=False)
    facts = read_json(latest_run("uncertified", runs).start_file)
    assert list(facts["begun"]) == ["accuracy"]
    assert read_json(latest_run("uncertified", runs).results_file)["start"] == facts
    line = next(t for t in capsys.readouterr().out.splitlines() if t.startswith("its weights in these layers"))
    assert "constant" not in line


def test_a_run_that_never_got_anywhere_begins_with_the_same_weights(runs, tmp_path):
    name = "digits-orthonormal-finetune"
    commands.train(name, [*SMALL, f"runs_dir={runs}", "name=killed"], resume=False)
    killed = latest_run("killed", runs)
    expected = json.loads(killed.results_file.read_text())
    weights = load_file(killed.start_weights_file)
    for path in (killed.last_checkpoint, killed.best_checkpoint, killed.results_file, killed.start_file):
        path.unlink()
    killed.start_weights_file.unlink()
    killed.metrics_file.unlink()
    shutil.rmtree(killed.tensorboard)
    commands.train(str(killed.path), [], resume=True)
    again = json.loads(killed.results_file.read_text())
    assert (again["start"], again["certified"]) == (expected["start"], expected["certified"])
    assert all(torch.equal(tensor, weights[key]) for key, tensor in load_file(killed.start_weights_file).items())
    # A finished training is only evaluated, and needs the other run no more.
    moved = tmp_path / "moved"
    shutil.move(runs / "digits-few-steps", moved)
    commands.train(str(killed.path), [], resume=True)
    assert json.loads(killed.results_file.read_text())["start"] == expected["start"]
    shutil.move(moved, runs / "digits-few-steps")
