"""Schedules against closed forms."""

import math

import pytest
import torch

from onelip.tasks import SCHEDULES, constant, cosine, exponential, one_cycle, step


@pytest.mark.parametrize("name", SCHEDULES)
def test_factors_are_positive_and_never_exceed_one(name):
    schedule = SCHEDULES[name]()
    factors = [schedule(i / 1000) for i in range(1001)]
    assert max(factors) == pytest.approx(1.0, abs=1e-12)
    assert min(factors) >= 0.0


def test_one_cycle_rises_then_falls_between_its_ends():
    schedule = one_cycle(warmup=0.25, start=0.1, end=0.01)
    assert schedule(0.0) == pytest.approx(0.1)
    assert schedule(0.125) == pytest.approx(0.55)
    assert schedule(0.25) == pytest.approx(1.0)
    assert schedule(0.625) == pytest.approx(0.505)
    assert schedule(1.0) == pytest.approx(0.01)


def test_one_cycle_without_warmup_starts_at_the_full_rate():
    assert one_cycle(warmup=0.0)(0.0) == 1.0


def test_cosine_and_constant():
    assert cosine(end=0.2)(1 / 3) == pytest.approx(0.2 + 0.8 * (1 + math.cos(math.pi / 3)) / 2)
    assert constant()(0.7) == 1.0


def test_an_exponential_one_is_that_of_a_factor_after_each_epoch():
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=0.1)
    published = torch.optim.lr_scheduler.ExponentialLR(optimizer, gamma=10 ** (-1 / 60))
    schedule = exponential(end=10 ** (-200 / 60))
    for epoch in range(200):
        assert 0.1 * schedule(epoch / 200) == pytest.approx(published.get_last_lr()[0], rel=1e-10)
        optimizer.step()
        published.step()
    with pytest.raises(ValueError, match=r"end=0\.0 of an exponential schedule must be in"):
        exponential(end=0.0)


def test_step_drops_at_each_milestone():
    schedule = step(milestones=(0.5, 0.75), factor=0.1)
    assert [schedule(p) for p in (0.0, 0.499, 0.5, 0.75)] == pytest.approx([1.0, 1.0, 0.1, 0.01])


@pytest.mark.parametrize(("n_epochs", "milestones"), [(200, (0.2, 0.4, 0.6, 0.8)), (120, (1 / 3, 2 / 3))])
@pytest.mark.parametrize("n_batches", [1, 3, 352, 391])
def test_milestones_are_those_of_a_step_every_forty_epochs(n_epochs, milestones, n_batches):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=0.1)
    published = torch.optim.lr_scheduler.StepLR(optimizer, step_size=40, gamma=0.1)
    schedule, total = step(milestones=milestones, factor=0.1), n_epochs * n_batches
    for epoch in range(n_epochs):
        for batch in {0, n_batches - 1}:
            rate = 0.1 * schedule((epoch * n_batches + batch) / total)
            assert rate == pytest.approx(published.get_last_lr()[0], rel=1e-12)
        optimizer.step()
        published.step()


@pytest.mark.parametrize("make", [lambda: one_cycle(warmup=1.0), lambda: step(milestones=(0.5, 1.5))])
def test_parts_outside_the_training_are_refused(make):
    with pytest.raises(ValueError, match="at least 0 and below 1"):
        make()
