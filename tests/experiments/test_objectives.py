"""Objectives by configuration, in whole trainings that resume to the same numbers."""

import dataclasses

import pytest
import torch
from torch import nn

from onelip.experiments import create_run_folder, load_config
from onelip.experiments.objectives import build_objective
from onelip.experiments.preparation import prepare
from onelip.experiments.recorder import read_metrics
from onelip.experiments.training import StoppedError, train
from onelip.tasks import TRADES, JacobianPenalty, PGDTraining

SMALL = [
    "trainer.threads=1", "trainer.max_epochs=2", "model.widths=[16]", "layer=plain", "optimizer=adamw",
    "data.batch_size=512", "trainer.validate_every=1",
]  # fmt: skip


def objective(*changes):
    return build_objective(load_config("digits", list(changes)))


def test_without_sections_there_is_none():
    assert objective() is None


def test_adversarial_training():
    pgd = objective("adversarial={radius: 0.3, norm: linf, steps: 4, step_size: 0.1, random_start: false}", "seed=5")
    assert isinstance(pgd, PGDTraining)
    assert not pgd.random_start
    found = pgd.adversary
    assert (found.radius, found.norm, found.steps, found.step_size, found.random.seed) == (0.3, "linf", 4, 0.1, 5)
    assert objective("adversarial={radius: 0.3}").random_start
    trades = objective("adversarial={kind: trades, radius: 0.3, beta: 2.5}")
    assert isinstance(trades, TRADES)
    assert trades.beta == 2.5
    assert objective("adversarial={kind: trades, radius: 0.3}").beta == 6.0


def test_penalties_are_added_to_it():
    penalty = objective("jacobian={weight: 0.1, iterations: 7}", "seed=5")
    assert isinstance(penalty, JacobianPenalty)
    assert (penalty.kind, penalty.weight, penalty.iterations) == ("spectral", 0.1, 7)
    both = objective("jacobian={kind: frobenius, weight: 0.1, projections: 2}", "adversarial={radius: 0.3}")
    assert isinstance(both.base, PGDTraining)
    assert (both.kind, both.projections) == ("frobenius", 2)


class StopAt(nn.Module):
    """A loss that stops the process's training at one of its calls, as Ctrl-C does."""

    def __init__(self, loss, call):
        super().__init__()
        self.loss, self.calls, self.call = loss, 0, call

    def forward(self, logits, labels):
        self.calls += 1
        if self.calls == self.call:
            raise KeyboardInterrupt
        return self.loss(logits, labels)


@pytest.mark.parametrize(
    "changes",
    [
        ["adversarial={radius: 0.3, steps: 2}", "trainer.accumulate=2"],
        [
            "adversarial={kind: trades, radius: {start: 0.01, end: 0.1}, norm: linf, steps: 2}",
            "trainer.precision=bf16-mixed", "certify.mirror_average=true",
        ],
        ["jacobian={kind: frobenius, weight: 0.1}", "adversarial={radius: 0.1, steps: 1}", "trainer.ema={decay: 0.5}"],
        [
            "jacobian={weight: 0.1}", "projection={kind: l-infinity, every: epoch, reset_optimizer: true}",
            "model.dropout_hidden=0.5",
        ],
        ["layer=parseval", "model.dropout_input=0.2"],
    ],
    ids=["pgd", "trades", "frobenius", "l-infinity", "own"],
)  # fmt: skip
def test_a_run_that_was_stopped_resumes_to_the_same_numbers(changes, tmp_path):
    config = load_config("digits", [*SMALL, f"runs_dir={tmp_path}", *changes])
    whole, stopped = prepare(config), prepare(config)
    folders = [create_run_folder(config) for _ in range(2)]
    train(whole, folders[0])
    n_batches = -(-len(whole.train) // 512)
    # In the second epoch, one validation after the first.
    with pytest.raises(StoppedError):
        train(dataclasses.replace(stopped, loss=StopAt(stopped.loss, n_batches + 2)), folders[1])
    resumed = prepare(config)
    train(resumed, folders[1], resume=True)
    clock = ("seconds", "minutes")
    first, second = ([{k: v for k, v in row.items() if k not in clock} for row in read_metrics(f)] for f in folders)
    assert len(first) == 2
    assert first == second
    expected = whole.model.state_dict()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in resumed.model.state_dict().items())


@pytest.mark.parametrize(
    ("changes", "other"),
    [
        (["adversarial={radius: 0.3, steps: 2}"], []),
        (["jacobian={weight: 1}"], []),
        (["projection={kind: l2}"], []),
        (["model.dropout_hidden=0.5"], []),
        (["model.dropout_input=0.5"], []),
        (["optimizer.weight_decay=1"], []),
        (["optimizer.weight_decay=1", "optimizer.name=adam"], ["optimizer.name=adam"]),
    ],
)
def test_each_changes_what_is_learned(changes, other, tmp_path):
    learned = []
    for these in (changes, other):
        experiment = prepare(load_config("digits", [*SMALL, "trainer.max_epochs=1", f"runs_dir={tmp_path}", *these]))
        train(experiment, create_run_folder(experiment.config))
        learned.append(experiment.model.network.head.weight.detach())
    assert not torch.equal(*learned)
