import math
from types import SimpleNamespace

import pytest
import torch

from onelip.experiments.bench.stopwatch import Stopwatch, synchronised


class Clock:
    def __init__(self):
        self.time = 100.0

    def __call__(self, device):
        assert device == torch.device("cpu")
        return self.time


def _run(watch, clock, epochs, *, validation=(), end=0.0):
    """What Lightning calls: each epoch is a list of seconds of its steps, with two seconds between epochs."""
    trainer = SimpleNamespace(global_step=0, should_stop=False)
    module = SimpleNamespace(device=torch.device("cpu"))
    watch.on_train_start(trainer, module)
    for steps in epochs:
        clock.time += 2.0
        watch.on_train_epoch_start(trainer, module)
        for seconds in steps:
            clock.time += seconds
            trainer.global_step += 1
            watch.on_train_batch_end(trainer, module, None, None, 0)
            if trainer.should_stop:
                break
        if trainer.should_stop:
            break
    clock.time += 0.25
    watch.on_validation_start(trainer, module)
    for seconds in validation:
        clock.time += seconds
        watch.on_validation_batch_end(trainer, module, None, None, 0)
    clock.time += end
    watch.on_train_end(trainer, module)
    return trainer.global_step


def test_times_are_those_between_steps_without_warm_up_and_ends_of_epochs():
    clock = Clock()
    watch = Stopwatch(3, 1e3, 2, now=clock)
    taken = _run(watch, clock, [[9.0, 8.0, 1.0], [2.0, 6.0, 7.0]], validation=(0.5, 0.125), end=4.0)
    assert taken == 5
    assert watch.measured == [1.0, 2.0, 6.0]
    assert (watch.median, watch.mean) == (2.0, 3.0)
    assert watch.validation == [0.5, 0.125]
    assert watch.end == 4.25


@pytest.mark.parametrize(("limit", "taken", "measured"), [(10.0, 2, [8.0]), (19.5, 3, [1.0]), (20.5, 4, [2.0])])
def test_no_step_begins_after_the_time_but_the_second(limit, taken, measured):
    clock = Clock()
    watch = Stopwatch(3, limit, 3, now=clock)
    assert _run(watch, clock, [[9.0, 8.0, 1.0, 2.0, 3.0]]) == taken
    assert watch.measured == measured


@pytest.mark.parametrize(
    ("arguments", "message"),
    [((0, 1.0, 0), "steps=0"), ((1, 1.0, -1), "warm_up=-1"), ((1, 0.0, 0), "=0.0"), ((1, math.inf, 0), "=inf")],
)
def test_numbers_out_of_range_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Stopwatch(*arguments)


def test_the_clock_runs():
    first = synchronised(torch.device("cpu"))
    assert synchronised(torch.device("cpu")) >= first
