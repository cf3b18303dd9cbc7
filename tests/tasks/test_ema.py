"""The averaged weights: their value, their constraint, and where they are used."""

import pytest
import torch
from lightning.pytorch.callbacks import Callback, Checkpoint
from tests.tasks.toy import ToyBatches, toy_trainer
from torch import nn
from torch.nn.functional import cross_entropy

from onelip import layers
from onelip.layers.orthogonal_block import is_trusted
from onelip.tasks import Classification, Retract, WeightAverage, adam, manifold_adam

# Raised by Lightning 2.6 itself on torch 2.13.
pytestmark = pytest.mark.filterwarnings("ignore:.*treespec, LeafSpec:FutureWarning")


def task_with(optimizer=None):
    torch.manual_seed(0)
    model = nn.Sequential(layers.linear("bjorck", 2, 2), nn.BatchNorm1d(2))
    return Classification(model, cross_entropy, optimizer=optimizer or adam(lr=0.05), radius=None)


class Watch(Callback):
    """The weights after each step, and in each validation."""

    def __init__(self):
        self.steps, self.validated, self.buffers = [], [], []

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        self.steps.append(pl_module.model[0].raw_weight.detach().clone())

    def on_validation_end(self, trainer, pl_module):
        self.validated.append(pl_module.model[0].raw_weight.detach().clone())
        self.buffers.append(pl_module.model[1].num_batches_tracked.item())


class Save(Checkpoint):
    """As a recorder does: after each epoch, behind all other callbacks."""

    def __init__(self, path):
        self.path = path

    def on_train_epoch_end(self, trainer, pl_module):
        trainer.save_checkpoint(self.path / f"{trainer.current_epoch}.ckpt")


def run(folder, average, n_epochs=3, optimizer=None, resume=None):
    watch, task = Watch(), task_with(optimizer)
    trainer = toy_trainer(folder, n_epochs, Retract(), watch, *([average] if average else []), Save(folder))
    trainer.fit(task, ToyBatches(), ToyBatches(), ckpt_path=resume, weights_only=True)
    return watch, task


def averages(weights, decay, warmup):
    """The definition, step by step."""
    average, found = weights[0], []
    for t, weight in enumerate(weights):
        d = min(decay, (1 + t) / (10 + t)) if warmup else decay
        average = d * average + (1 - d) * weight
        found.append(average)
    return found


@pytest.mark.parametrize("warmup", [True, False])
def test_validated_saved_and_final_weights_are_the_retracted_average(warmup, tmp_path):
    watch, task = run(tmp_path, WeightAverage(0.6, warmup=warmup))
    expected = averages(watch.steps, 0.6, warmup)[3::4]
    assert len(expected) == len(watch.validated) == 3
    for weight, average, number in zip(watch.validated, expected, range(3), strict=True):
        u, s, vt = torch.linalg.svd(average)
        assert s.min() < 1 - 1e-4, "an average of rotations is shorter, else this tests nothing"
        torch.testing.assert_close(weight, u @ vt, atol=1e-4, rtol=0)
        saved = torch.load(tmp_path / f"{number}.ckpt", weights_only=True)
        assert torch.equal(saved["state_dict"]["model.0.raw_weight"], weight)
    assert torch.equal(task.model[0].raw_weight, watch.validated[-1])
    assert watch.buffers == [4, 8, 12]
    assert task.model[0].lipschitz_bound().value <= 1 + 1e-6


@pytest.mark.parametrize("optimizer", [None, manifold_adam(lr=0.1)])
def test_training_goes_on_as_without(optimizer, tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    with_average, task = run(tmp_path / "a", WeightAverage(0.6), optimizer=optimizer)
    without, _ = run(tmp_path / "b", None, optimizer=optimizer)
    assert all(map(torch.equal, with_average.steps, without.steps))
    if optimizer is not None:
        assert is_trusted(task.model[0].raw_weight)


@pytest.mark.parametrize("optimizer", [None, manifold_adam(lr=0.1)])
def test_resumes_exactly(optimizer, tmp_path):
    watch, task = run(tmp_path, WeightAverage(0.6), optimizer=optimizer)
    resumed, its = run(tmp_path, WeightAverage(0.6), optimizer=optimizer, resume=tmp_path / "0.ckpt")
    assert len(resumed.steps) == 8
    assert all(map(torch.equal, resumed.steps, watch.steps[4:]))
    assert all(map(torch.equal, resumed.validated, watch.validated[1:]))
    assert torch.equal(task.model[0].raw_weight, its.model[0].raw_weight)


def test_starts_late(tmp_path):
    average = WeightAverage(0.9, start=0.5)
    watch, _ = run(tmp_path, average)
    assert torch.equal(watch.validated[0], watch.steps[3]), "before the start all is as without"
    expected = averages(watch.steps[5:], 0.9, True)[-1]
    u, _, vt = torch.linalg.svd(expected)
    torch.testing.assert_close(watch.validated[-1], u @ vt, atol=1e-4, rtol=0)
    assert not average.active or watch.validated


@pytest.mark.parametrize(("option", "value"), [("decay", 1.0), ("decay", -0.1), ("start", 1.0)])
def test_refuses(option, value):
    with pytest.raises(ValueError, match=f"{option}={value}"):
        WeightAverage(**{option: value})
