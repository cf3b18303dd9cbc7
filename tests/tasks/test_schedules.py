"""Schedules against closed forms."""

import math

import pytest

from onelip.tasks import SCHEDULES, constant, cosine, one_cycle, step


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


def test_step_drops_at_each_milestone():
    schedule = step(milestones=(0.5, 0.75), factor=0.1)
    assert [schedule(p) for p in (0.0, 0.499, 0.5, 0.75)] == pytest.approx([1.0, 1.0, 0.1, 0.01])


@pytest.mark.parametrize("make", [lambda: one_cycle(warmup=1.0), lambda: step(milestones=(0.5, 1.5))])
def test_parts_outside_the_training_are_refused(make):
    with pytest.raises(ValueError, match="at least 0 and below 1"):
        make()
