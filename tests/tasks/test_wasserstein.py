"""Training of critics."""

import lightning.pytorch as pl
import pytest
import torch
from torch import nn

from onelip import layers
from onelip.tasks import NonFiniteError, StepNumbers, WassersteinCritic, adam
from onelip.transport import PointMasses, sample_generator

pytestmark = pytest.mark.filterwarnings("ignore:.*treespec, LeafSpec:FutureWarning")

P, Q = PointMasses([[0.0]]), PointMasses([[-3.0], [1.0]])


def linear_critic() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(layers.BjorckLinear(1, 1))


def fit(task, n_steps=4, n_in_epoch=2):
    trainer = pl.Trainer(
        max_epochs=n_steps // n_in_epoch,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        log_every_n_steps=1,
    )
    trainer.fit(task, StepNumbers(n_steps, n_in_epoch))
    return task


def test_the_objective_is_the_difference_of_means():
    # With 1-Lipschitz lines f(x) = +-x the difference is +-(0 - mean of y), whose sample mean is known from the seed.
    task = fit(WassersteinCritic(linear_critic(), P, Q, optimizer=adam(lr=1e-9), batch_size=64, n_steps=2), 2, 2)
    drawn = []
    for step in range(2):
        generator = sample_generator(0, 0, step)
        P(64, generator)
        drawn.append(Q(64, generator).mean())
    assert abs(task.metrics["train_difference"]) == pytest.approx(abs(float(sum(drawn)) / 2), abs=1e-5)


def test_what_is_measured_is_reported_with_the_rate_of_the_schedule():
    seen = []

    def measure(critic):
        seen.append(critic.training)
        return {"answer": 42.0}

    task = WassersteinCritic(
        linear_critic(),
        P,
        Q,
        optimizer=adam(lr=0.5),
        schedule=lambda t: 1 - t,
        n_steps=4,
        batch_size=2,
        measure=measure,
    )
    fit(task)
    assert seen == [False, False]
    assert task.metrics["answer"] == 42.0
    assert task.metrics["learning_rate"] == pytest.approx(0.0)
    assert task.critic.training


def test_numbers_that_are_not_finite_stop_the_training():
    critic = linear_critic()
    task = WassersteinCritic(critic, P, lambda n, generator: torch.full((n, 1), float("inf")), optimizer=adam())
    with pytest.raises(NonFiniteError, match="the loss is"):
        fit(task)


@pytest.mark.parametrize("name", ["batch_size", "n_steps"])
def test_sizes_below_one_are_refused(name):
    with pytest.raises(ValueError, match=f"{name}=0"):
        WassersteinCritic(linear_critic(), P, Q, optimizer=adam(), **{name: 0})
