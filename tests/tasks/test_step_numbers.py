"""Numbers of steps as batches, and what is drawn for each."""

import pytest

from onelip.tasks import StepNumbers


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
