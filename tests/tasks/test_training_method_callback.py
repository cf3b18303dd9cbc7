"""A method is stepped once after each step of the optimiser; its norms are logged and its state is saved."""

import lightning.pytorch as pl
import pytest
import torch
from tests.tasks.toy import ToyBatches, linear_model
from torch.nn.functional import cross_entropy

from onelip.tasks import Classification, TrainingMethodCallback, sgd

# Raised by Lightning 2.6 itself on torch 2.13.
pytestmark = pytest.mark.filterwarnings("ignore:.*treespec, LeafSpec:FutureWarning")


class Counting:
    """Notes the weight at each of its steps."""

    def __init__(self, model):
        self.model = model
        self.weights = []
        self.n_steps = 0

    def penalty(self):
        return None

    def step(self):
        self.n_steps += 1
        self.weights.append(self.model[0].weight.detach().clone())
        return {"0": float(self.n_steps)} if self.n_steps % 2 == 0 else None

    def state_dict(self):
        return {"n_steps": self.n_steps}

    def load_state_dict(self, state):
        self.n_steps = state["n_steps"]


class Remembering(pl.loggers.logger.DummyLogger):
    def __init__(self):
        super().__init__()
        self.lines = []

    def log_metrics(self, metrics, step=None):
        self.lines += [(step, name, value) for name, value in metrics.items() if name.startswith("spectral_norm")]


def fit(folder, max_epochs, accumulate, *, loggers=False, ckpt_path=None):
    model = linear_model()
    method = Counting(model)
    trainer = pl.Trainer(
        max_epochs=max_epochs, accelerator="cpu", devices=1, callbacks=[TrainingMethodCallback(method)], logger=loggers,
        accumulate_grad_batches=accumulate, enable_progress_bar=False, enable_model_summary=False,
        num_sanity_val_steps=0, log_every_n_steps=1, enable_checkpointing=False, default_root_dir=folder,
    )  # fmt: skip
    task = Classification(model, cross_entropy, optimizer=sgd())
    trainer.fit(task, ToyBatches(), ToyBatches(), ckpt_path=ckpt_path, weights_only=True)
    trainer.save_checkpoint(folder / "last.ckpt")
    return method


@pytest.mark.parametrize(("accumulate", "n_steps"), [(1, 8), (2, 4)])
def test_steps_are_counted_and_batches_are_not(accumulate, n_steps, tmp_path):
    method = fit(tmp_path, 2, accumulate)
    assert method.n_steps == n_steps
    assert torch.equal(method.weights[-1], method.model[0].weight), "it came before the step"
    assert all(not torch.equal(a, b) for a, b in zip(method.weights, method.weights[1:], strict=False))


def test_norms_reach_every_logger(tmp_path):
    loggers = [Remembering(), Remembering()]
    fit(tmp_path, 1, 1, loggers=loggers)
    for logger in loggers:
        assert logger.lines == [(2, "spectral_norm/0", 2.0), (4, "spectral_norm/0", 4.0)]


def test_the_state_is_part_of_the_checkpoint(tmp_path):
    fit(tmp_path, 1, 1)
    assert fit(tmp_path, 2, 1, ckpt_path=tmp_path / "last.ckpt").n_steps == 8
