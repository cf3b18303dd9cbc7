"""Trainings that begin with the weights of another run."""

import pytest
import torch
from tests.experiments.small_run import small_run
from torch import nn

from onelip.experiments import UserError, load_config
from onelip.experiments.preparation import prepare
from onelip.experiments.start import start_folder, with_start_folder
from onelip.layers import BjorckLinear

WIDTHS = "model.widths=[8]"


def begin(runs_dir, *changes):
    return prepare(load_config("digits", [WIDTHS, f"runs_dir={runs_dir}", *changes]), fresh=True)


@pytest.fixture
def other(tmp_path):
    """The folder of another run with plain layers, and its network."""
    return small_run(tmp_path, "name=other", WIDTHS)


def test_a_fresh_training_begins_with_the_weights_that_the_other_run_keeps(other, tmp_path):
    folder, model = other
    experiment = begin(tmp_path, f"start.run={folder.path}", "layer=plain", "activation=relu")
    for name, tensor in model.state_dict().items():
        assert torch.equal(experiment.model.state_dict()[name], tensor)
    assert (experiment.began.run, experiment.began.epoch) == (str(folder.path), 3)
    assert experiment.began.largest_change == 0.0


def test_or_with_its_last_ones(other, tmp_path):
    _, model = other
    section = "start={run: other, weights: last}"
    experiment = begin(tmp_path, section, "layer=plain", "activation=relu")
    assert torch.equal(experiment.model.network.head.weight, 10 * model.network.head.weight)
    assert (experiment.began.weights, experiment.began.epoch) == ("last", 5)


def test_a_run_that_is_evaluated_does_not_look_for_them(tmp_path):
    config = load_config("digits", [WIDTHS, "start.run=gone", f"runs_dir={tmp_path}"])
    assert prepare(config).began is None
    with pytest.raises(UserError, match=r"start\.run: there is no run of 'gone'"):
        prepare(config, fresh=True)


def test_other_layers_project_them(other, tmp_path):
    _, model = other
    experiment = begin(tmp_path, "start.run=other", "layer=bjorck", "activation=relu")
    head = experiment.model.network.head
    assert isinstance(head, BjorckLinear)
    u, _, vh = torch.linalg.svd(model.network.head.weight.detach().double(), full_matrices=False)
    torch.testing.assert_close(head.eval_weight().double(), u @ vh, atol=1e-5, rtol=0)
    assert experiment.began.largest_change > 0


def test_what_a_method_made_of_the_weights_is_taken(tmp_path):
    changes = ["layer=plain", "activation=relu", "certify=null", "attack=null", "clipping.method=miyato"]
    config = load_config("digits", [WIDTHS, f"runs_dir={tmp_path}", "name=other", *changes])
    folder, _ = small_run(tmp_path, "name=other", WIDTHS, *changes[2:])
    source = prepare(config).model.eval()
    torch.save({"epoch": 0, "state_dict": source.state_dict()}, folder.best_checkpoint)
    experiment = begin(tmp_path, "start.run=other", "layer=plain", "activation=relu")
    assert type(experiment.model.network.head) is nn.Linear
    torch.testing.assert_close(experiment.model.network.head.weight, source.network.head.weight)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["model.widths=[9]", "layer=plain"], r"start.run=.*other.*: weight of layer 'network.dense1' is \(8, 64\)"),
        (
            ["layer=sll"],
            "the network to begin with has no layer 'network.dense1.0'; it must be of the same architecture",
        ),
        (["layer=plain", "model.widths=[8, 8]"], "has no layer 'network.dense2'"),
        (["layer=plain", "model.widths=[]"], "only the network to begin with has a layer 'network.dense1'"),
    ],
)
def test_what_does_not_fit_is_one_sentence(changes, message, other, tmp_path):
    with pytest.raises(UserError, match=message):
        begin(tmp_path, "start.run=other", "activation=relu", *changes)


def test_a_folder_without_weights_is_named(other, tmp_path):
    folder, _ = other
    folder.best_checkpoint.write_bytes(b"no checkpoint")
    with pytest.raises(UserError, match=r"best\.ckpt is not a whole checkpoint"):
        begin(tmp_path, "start.run=other", "layer=plain")


def test_a_name_becomes_the_folder_of_its_latest_run(other, tmp_path):
    folder, _ = other
    config = load_config("digits", ["start.run=other", f"runs_dir={tmp_path}"])
    assert with_start_folder(config).start.run == str(folder.path)
    assert start_folder(config.start, str(tmp_path)) == folder
    plain = load_config("digits")
    assert with_start_folder(plain) is plain
    with pytest.raises(UserError, match="is not the folder of a run"):
        with_start_folder(load_config("digits", [f"start.run={tmp_path / 'nothing'}"]))
