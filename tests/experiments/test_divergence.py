"""A run whose numbers stop to be finite: what is kept, what is said, and how it goes on."""

import dataclasses

import pytest
import torch
from torch import nn

from onelip.experiments import commands, create_run_folder, latest_run, load_config
from onelip.experiments.checkpoints import read_checkpoint
from onelip.experiments.errors import CommandFailedError
from onelip.experiments.preparation import prepare
from onelip.experiments.recorder import read_metrics
from onelip.experiments.training import train
from onelip.tasks import NonFiniteError, NonFiniteLossError


class BadFrom(nn.Module):
    """A loss, or its gradient, that is NaN from one of its calls on."""

    def __init__(self, call: int, where: str):
        super().__init__()
        self.call, self.where, self.calls = call, where, 0

    def forward(self, logits, labels):
        self.calls += 1
        loss = nn.functional.cross_entropy(logits, labels)
        if self.calls < self.call:
            return loss
        return loss * float("nan") if self.where == "loss" else loss + (0.0 * logits.sum()).sqrt()


@pytest.fixture
def experiment(tmp_path):
    small = [
        "trainer.threads=1",
        "trainer.max_epochs=3",
        "trainer.validate_every=1",
        "model.widths=[16]",
        "layer=plain",
    ]
    return prepare(load_config("digits", [f"runs_dir={tmp_path}", *small]))


@pytest.mark.parametrize("where", ["loss", "gradient"])
def test_the_checkpoint_before_is_kept(where, experiment):
    folder = create_run_folder(experiment.config)
    n_calls = 11 + 1 + 5  # the middle of the second epoch, after eleven batches and one of validation
    error = NonFiniteLossError if where == "loss" else NonFiniteError
    with pytest.raises(error, match=f"the {where} .*in epoch 1, batch 4"):
        train(dataclasses.replace(experiment, loss=BadFrom(n_calls, where)), folder)
    checkpoint = read_checkpoint(folder.last_checkpoint)
    assert checkpoint["epoch"] == 0
    assert all(torch.isfinite(value).all() for value in checkpoint["state_dict"].values())
    assert len(read_metrics(folder)) == 1


def test_the_command_names_the_checkpoint_and_a_resumed_run_recalls_the_failure(experiment, monkeypatch, capsys):
    monkeypatch.setattr(commands, "prepare", lambda *_, **__: dataclasses.replace(experiment, loss=BadFrom(17, "loss")))
    config = experiment.config
    changes = [f"runs_dir={config.runs_dir}", "trainer.max_epochs=3", "trainer.threads=1"]
    with pytest.raises(CommandFailedError) as failed:
        commands.train("digits", changes, resume=False)
    folder = latest_run("digits", config.runs_dir)
    kept = f"the last good checkpoint, of epoch 1, is {folder.last_checkpoint}"
    assert str(failed.value).endswith(f"epoch 1, batch 4; lower the learning rate or clip the gradient; {kept}")
    assert failed.value.exit_code == 1
    capsys.readouterr()

    class ContinuedError(Exception):
        pass

    def stop(*_, **options):
        assert options["resume"] is True
        raise ContinuedError

    monkeypatch.setattr(commands.training, "train", stop)
    with pytest.raises(ContinuedError):
        commands.train(str(folder.path), [], resume=True)
    output = capsys.readouterr().out
    assert "the run stopped since the loss is nan in epoch 1, batch 4" in output
    assert kept in output
