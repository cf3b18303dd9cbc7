"""Whole runs of GANs: files, numbers, and going on after an interruption."""

import json

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from tests.experiments.gan.small import small_config

from onelip.experiments import create_run_folder
from onelip.experiments.errors import UserError
from onelip.experiments.gan.preparation import prepare
from onelip.experiments.gan.run import evaluate, samples_folder, train
from onelip.experiments.recorder import read_metrics
from onelip.experiments.training import StoppedError


def run(folder, *overrides):
    config = small_config(folder, *overrides)
    experiment, place = prepare(config), create_run_folder(config)
    train(experiment, place)
    evaluate(experiment, place)
    return experiment, place


@pytest.mark.parametrize("critic", ["lipschitz", "wgan", "wgan-gp"])
def test_a_run_leaves_all_its_files_and_numbers(tmp_path, critic, capsys):
    experiment, folder = run(tmp_path, f"critic={critic}")
    names = {path.relative_to(folder.path).as_posix() for path in folder.path.rglob("*") if path.is_file()}
    assert names >= {
        "config.yaml", "metrics.csv", "results.json", "report.html", "generator.safetensors", "critic.safetensors",
        "samples.png", "real.png", "losses.png", "evolution.gif", "checkpoints/last.ckpt",
        "samples/0000002.png", "samples/0000004.png",
    }  # fmt: skip
    rows = read_metrics(folder)
    assert [row["generator_steps"] for row in rows] == [2, 4]
    assert ("penalty" in rows[0]) == (critic == "wgan-gp")
    results = json.loads(folder.results_file.read_text())
    assert results["frechet"]["squared_distance"] == rows[-1]["frechet_sq"]
    assert results["critic_gradients"]["largest"] == rows[-1]["critic_gradient_largest"]
    assert results["critic_gradients"]["largest"] <= results["critic_constant"]["value"]
    assert results["critic_constant"]["kind"] == "upper bound, proved"
    if critic == "lipschitz":
        assert results["critic_constant"]["value"] <= 1 + 1e-5
    distance, constant = results["wasserstein1"], results["critic_constant"]["value"]
    assert distance["lower_bound"] == pytest.approx(distance["difference"] / constant)
    assert distance["unit"] == "l2 of pixels in [0, 1] at 1x8x8"
    assert (results["generator_steps"], results["critic_steps"]) == (4, 8)
    assert (results["split"], distance["n_real"], distance["n_generated"]) == ("test", 40, 40)
    out = capsys.readouterr().out
    assert "squared Frechet distance" in out
    assert str(folder.path / "report.html") in out
    with Image.open(folder.path / "evolution.gif") as animation:
        assert animation.n_frames == 2
    assert load_file(folder.path / "critic.safetensors").keys() >= {"dense1.weight", "head.bias"}
    assert experiment.task.generator_steps == 4


@pytest.mark.parametrize("critic", ["lipschitz", "wgan-gp"])
def test_an_interrupted_run_ends_with_the_same_numbers(tmp_path, monkeypatch, critic):
    whole, straight = run(tmp_path, f"critic={critic}")
    config = small_config(tmp_path, f"critic={critic}")
    cut, folder = prepare(config), create_run_folder(config)
    step = cut.task.training_step

    def stopping(batch, batch_idx):
        if int(cut.task.steps_taken) == 6:
            raise KeyboardInterrupt
        step(batch, batch_idx)

    monkeypatch.setattr(cut.task, "training_step", stopping)
    with pytest.raises(StoppedError):
        train(cut, folder)
    assert len(read_metrics(folder)) == 1
    torch.manual_seed(99)
    torch.rand(5)
    resumed = prepare(config)
    train(resumed, folder)
    evaluate(resumed, folder)
    for name, value in whole.task.state_dict().items():
        assert torch.equal(resumed.task.state_dict()[name], value), name
    for name in ("samples/0000002.png", "samples/0000004.png", "generator.safetensors", "evolution.gif", "losses.png"):
        assert (folder.path / name).read_bytes() == (straight.path / name).read_bytes(), name
    rows = [read_metrics(place) for place in (straight, folder)]
    untimed = [[{k: v for k, v in row.items() if k not in ("seconds", "minutes")} for row in part] for part in rows]
    assert untimed[0] == untimed[1]


def test_a_finished_run_is_measured_again_without_a_step(tmp_path):
    _, folder = run(tmp_path)
    before = folder.results_file.read_text()
    experiment = prepare(small_config(tmp_path))
    train(experiment, folder)
    evaluate(experiment, folder)
    assert len(read_metrics(folder)) == 2
    again, first = json.loads(folder.results_file.read_text()), json.loads(before)
    assert {**again, "created": ""} == {**first, "created": ""}


def test_another_runs_checkpoint_is_refused(tmp_path):
    _, folder = run(tmp_path)
    other = prepare(small_config(tmp_path, "seed=0", "critic.model={name: mlp, widths: [5]}"))
    with pytest.raises(UserError, match=r"last.ckpt does not hold the networks of this run"):
        evaluate(other, folder)
    assert samples_folder(folder).is_dir()
