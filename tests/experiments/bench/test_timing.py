import pytest
import torch

from onelip.experiments.bench import timing
from onelip.experiments.bench.timing import summary, time_it

CPU = torch.device("cpu")


@pytest.fixture
def clock(monkeypatch):
    """A clock that the function that is timed sets."""
    now = [7.0]
    monkeypatch.setattr(timing, "synchronised", lambda device: now[0])
    return now


def _taking(clock, *seconds):
    left = iter(seconds)

    def run():
        clock[0] += next(left)

    return run


def test_the_first_time_does_not_count_and_the_median_does(clock):
    found = time_it(_taking(clock, 9.0, 1.0, 2.0, 6.0), CPU, repeats=3, seconds=1e3)
    assert (found.median, found.iqr) == (2.0, None)


@pytest.mark.parametrize(("seconds", "median"), [(3.0, 9.0), (9.5, 1.0), (10.5, 1.5)])
def test_nothing_begins_after_the_time_but_the_first(clock, seconds, median):
    assert time_it(_taking(clock, 9.0, 1.0, 2.0), CPU, repeats=9, seconds=seconds).median == median


def test_the_spread_is_the_distance_between_the_quartiles():
    assert summary([4.0, 1.0, 2.0, 3.0, 5.0]).iqr == 2.0
    assert summary([3.0]).median == 3.0
