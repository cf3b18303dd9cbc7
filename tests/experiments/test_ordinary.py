"""A run without a certificate: what it leaves, what its numbers mean, and that it resumes to the same ones."""

import dataclasses
import json
import math
import shutil

import pytest
import torch
from safetensors.torch import load_file
from tests.experiments.conftest import MODEL, SHORT
from torch import nn

from onelip.certify import load_certificate
from onelip.experiments import RunFolder, UserError, commands, create_run_folder, load_config
from onelip.experiments.checkpoints import load_best_weights
from onelip.experiments.evaluation import plain_network
from onelip.experiments.norm_checks import bounded_parts, read_norms
from onelip.experiments.ordinary import mode_of
from onelip.experiments.preparation import prepare
from onelip.experiments.recorder import COLUMNS, read_metrics
from onelip.experiments.training import train

NO_NORM = "model={name: simple-conv, width: 4, batch_norm: false}"


def results_of(folder):
    return json.loads(folder.results_file.read_text())


@pytest.fixture
def copy(ordinary, tmp_path):
    return RunFolder(shutil.copytree(ordinary.path, tmp_path / "copy"))


def test_the_folder_holds_what_is_documented_and_no_certificate(ordinary):
    names = {str(p.relative_to(ordinary.path)) for p in ordinary.path.rglob("*") if p.is_file()}
    assert {name for name in names if not name.startswith("tensorboard")} == {
        "config.yaml", "metrics.csv", "norms.csv", "spectrum.csv", "results.json", "report.html",
        "weights.safetensors", "attack.json", "attack-pgd-linf.csv", "attack-pgd-linf.npz", "checkpoints/last.ckpt",
        "checkpoints/best.ckpt",
    }  # fmt: skip


def test_metrics_keep_their_columns(ordinary):
    lines = ordinary.metrics_file.read_text().splitlines()
    assert lines[0] == ",".join(COLUMNS)
    rows = read_metrics(ordinary)
    assert set(rows[0]) == set(COLUMNS) - {"val_certified_accuracy"}
    assert len(rows) == 2, "twelve steps are two epochs of six"


def test_results_say_what_was_measured_of_the_best_weights(ordinary):
    results, rows = results_of(ordinary), read_metrics(ordinary)
    best = max(rows, key=lambda row: (row["val_accuracy"], row["epoch"]))
    assert results["weights"] == {"rule": "best", "epoch": int(best["epoch"]) + 1}
    assert (results["validation_accuracy"], results["train_accuracy"]) == (best["val_accuracy"], best["train_accuracy"])
    assert (results["mode"], results["clipping"]["method"], results["clipping"]["warm_start"]) == ("wBN", "gouk", True)
    assert "certified" not in results
    assert "lipschitz_bound" not in results
    experiment = prepare(ordinary.config())
    load_best_weights(experiment.model, ordinary)
    test = experiment.data.test
    with torch.no_grad():
        right = (experiment.model.eval()(test.pixels()).argmax(1) == test.labels).double().mean()
    assert results["accuracy"] == results["clean_accuracy"] == pytest.approx(float(right))
    assert results["samples"] == len(test)
    checks = read_norms(ordinary)
    assert [check["step"] for check in checks] == [4, 4, 8, 8, 12, 12]
    assert results["checks"] == 3
    assert results["largest_norm_at_checks"] == max(check["value"] for check in checks) < 1.2


def test_the_weights_are_those_of_the_plain_network(ordinary):
    experiment = prepare(ordinary.config())
    load_best_weights(experiment.model, ordinary)
    network = plain_network(experiment.model)
    network.load_state_dict(load_file(ordinary.weights_file))
    weight = network.get_submodule("network.fc").weight.detach().double()
    (row,) = [row for row in results_of(ordinary)["spectrum"] if row["name"] == "network.fc"]
    assert row["values"][0] == pytest.approx(float(torch.linalg.matrix_norm(weight, 2)), rel=1e-3)
    assert [row["kind"] for row in results_of(ordinary)["spectrum"]] == ["Conv2d", "BatchNorm2d", "Linear"]


def test_the_command_ends_with_where_everything_is(ordinary, capsys):
    commands.show_results(ordinary)
    output = capsys.readouterr().out
    assert "nothing is proved" in output
    assert "largest norm at 3 checks of the training" in output


def test_a_certificate_can_be_asked_for_afterwards(copy, capsys):
    before = results_of(copy)
    commands.certify(str(copy.path))
    results = results_of(copy)
    certificate = load_certificate(copy.certificate_file)
    assert results["lipschitz_bound"] == {
        "value": certificate.bound.value, "proved": True, "method": certificate.bound.method,
    }  # fmt: skip
    product = math.prod(row["values"][0] for row in before["spectrum"])
    assert certificate.bound.value == pytest.approx(product, rel=2e-3), "it is a chain"
    assert {key: results[key] for key in before if key not in ("created", "accuracy")} == {
        key: value for key, value in before.items() if key not in ("created", "accuracy")
    }
    assert str(copy.certificate_file) in capsys.readouterr().out


def test_attacks_of_the_configuration_are_held_after_the_training(tmp_path):
    attack = "attack={kind: fgsm, norm: linf, radii: [8/255, 0.5], samples: 20}"
    overrides = [*SHORT, NO_NORM, attack, f"runs_dir={tmp_path}"]
    commands.train("clipping-digits-none-nobn", overrides, resume=False)
    (path,) = tmp_path.glob("*/*")
    results = results_of(RunFolder(path))
    assert list(results["attacks"]["fgsm-linf"]["accuracy"]) == ["0.0313725", "0.5"]
    assert (results["mode"], results["clipping"]["method"]) == ("noBN", "none")
    page = (path / "report.html").read_text()
    assert "fgsm-linf" in page
    assert "cannot be used" not in page


def test_modes_are_named_by_what_the_network_has():
    with_norms, without = nn.Sequential(nn.BatchNorm2d(2)), nn.Sequential(nn.ReLU())
    config = load_config("clipping-digits")
    assert mode_of(config, without) == "noBN"
    assert mode_of(config.model_copy(update={"clipping": None}), with_norms) == "wBN"
    for cell, mode in (("wbn", "wBN"), ("clipbn", "clipBN"), ("joint", "joint")):
        assert mode_of(load_config(f"clipping-digits-fastclip-{cell}"), with_norms) == mode


class KillAt(nn.Module):
    """A loss that fails at one of its calls, as a kill would."""

    def __init__(self, call):
        super().__init__()
        self.call, self.calls = call, 0

    def forward(self, logits, labels):
        self.calls += 1
        if self.calls == self.call:
            raise SystemError("killed")
        return nn.functional.cross_entropy(logits, labels)


# Each keeps another kind of state: counters, vectors, buffers of the network, and both.
CELLS = {
    "fastclip-wbn": ["clipping.period=4"],
    "gouk-clipbn": ["clipping.warm_start=true", "clipping.batch_norm_period=2"],
    "miyato-wbn": [],
    "senderovich-nobn": ["clipping.period=4"],
    "delattre-wbn": [],
}


# Raised by Lightning 2.6 itself on torch 2.13.
@pytest.mark.filterwarnings("ignore:.*treespec, LeafSpec:FutureWarning")
@pytest.mark.parametrize("cell", CELLS)
def test_a_resumed_run_equals_an_uninterrupted_one_to_the_last_digit(cell, tmp_path):
    overrides = [*SHORT, NO_NORM if cell.endswith("nobn") else MODEL, *CELLS[cell]]
    folders = []
    for name in ("whole", "killed"):
        config = load_config(f"clipping-digits-{cell}", [*overrides, f"runs_dir={tmp_path / name}"])
        folders.append(create_run_folder(config))
        experiment = prepare(config)
        if name == "killed":
            # Ten losses are six steps, a validation and three steps: there is a check after the checkpoint.
            with pytest.raises(SystemError, match="killed"):
                train(dataclasses.replace(experiment, loss=KillAt(10)), folders[-1])
            assert read_norms(folders[-1])[-1]["step"] == 8
            torch.rand(5)
            experiment = prepare(config)
        train(experiment, folders[-1], resume=name == "killed")
    whole, killed = folders
    assert killed.norms_file.read_bytes() == whole.norms_file.read_bytes()
    rows = [
        [{k: v for k, v in row.items() if k not in ("seconds", "minutes")} for row in read_metrics(f)] for f in folders
    ]
    assert rows[0] == rows[1]
    first, second = (torch.load(f.last_checkpoint, weights_only=True) for f in folders)
    assert all(torch.equal(second["state_dict"][key], value) for key, value in first["state_dict"].items())


# Raised by Lightning 2.6 itself on torch 2.13.
@pytest.mark.filterwarnings("ignore:.*treespec, LeafSpec:FutureWarning")
@pytest.mark.parametrize("mode", ["wbn", "clipbn", "joint"])
def test_what_fastclip_is_checked_for_and_what_is_kept_obeys_the_bound(mode, tmp_path):
    overrides = [*SHORT, MODEL, "clipping.period=2", "optimizer.lr=0.5", f"runs_dir={tmp_path}"]
    config = load_config(f"clipping-digits-fastclip-{mode}", overrides)
    folder = create_run_folder(config)
    experiment = prepare(config)
    train(experiment, folder)
    norms = [row["value"] for row in read_norms(folder)]
    assert max(norms) * 1.01 > 1.0, "training never came to the bound, so the test shows nothing"
    assert max(norms) <= 1.02
    load_best_weights(experiment.model, folder)
    parts = bounded_parts(experiment.model, experiment.data.input_shape, config.clipping.batch_norm)
    assert max(part.largest for part in parts) <= 1.02
    last = torch.load(folder.last_checkpoint, weights_only=True)["state_dict"]
    experiment.model.load_state_dict({key.removeprefix("model."): v for key, v in last.items() if "model." in key})
    parts = bounded_parts(experiment.model, experiment.data.input_shape, config.clipping.batch_norm)
    assert max(part.largest for part in parts) <= 1.02


def test_the_published_event_is_an_option_beside_the_method(tmp_path):
    config = load_config("clipping-digits-fastclip-wbn", [MODEL, "clipping.event=published", f"runs_dir={tmp_path}"])
    assert config.clipping.method == "fastclip"
    assert prepare(config).method.event == "published"


def test_unknown_methods_modes_and_options_are_refused_before_anything_is_written(tmp_path):
    for change, sentence in {
        "clipping.method=goku": "clipping.method 'goku' is unknown; did you mean 'gouk'?",
        "clipping.n_iters=3": "n_iters=3 is not an option of training method 'gouk'",
        "clipping.n_iter=few": "clipping.n_iter='few' has the wrong type; the default is 5",
        "clipping.batch_norm=joint": "batch_norm='joint' for training method 'gouk'",
    }.items():
        with pytest.raises(UserError) as caught:
            commands.train("clipping-digits-gouk-wbn", [change, f"runs_dir={tmp_path}"], resume=False)
        assert sentence in str(caught.value)
    assert not [*tmp_path.iterdir()]
