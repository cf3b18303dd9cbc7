"""Numbers of steps as batches, and what is drawn for each."""

import pytest
import torch

from onelip.tasks import StepNumbers, step_generator


def test_epochs_divide_the_steps():
    steps = StepNumbers(6, 2)
    assert (steps.n_epochs, len(steps)) == (3, 2)
    seen = []
    for epoch in range(steps.n_epochs):
        steps.set_epoch(epoch)
        seen += [int(step) for step in steps]
    assert seen == list(range(6))


@pytest.mark.parametrize(("given", "sentence"), [((0, 1), "n_steps=0"), ((4, 0), "n_in_epoch=0"), ((5, 2), "multiple")])
def test_lengths_that_do_not_fit_are_refused(given, sentence):
    with pytest.raises(ValueError, match=sentence):
        StepNumbers(*given)


def test_a_generator_depends_on_seed_step_and_stream_alone():
    draws = {
        key: torch.rand(3, generator=step_generator(*key)).tolist()
        for key in [(0, 0), (0, 1), (1, 0), (0, 0, 1), (1, 1)]
    }
    assert draws[0, 0] == torch.rand(3, generator=step_generator(0, 0)).tolist()
    assert len({tuple(values) for values in draws.values()}) == len(draws)
