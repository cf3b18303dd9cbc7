"""Samplers, their generators and their checks."""

import numpy as np
import pytest
import torch

from onelip.transport import HELD_OUT, TRAINING, Distribution, Gaussian, Samples, sample_generator
from onelip.transport.sampler import (
    batches,
    check_counts,
    check_positive,
    coordinates,
    draw,
    points,
    probabilities,
    with_replacement,
)


def _first(generator):
    return torch.rand(3, generator=generator).tolist()


def test_a_generator_is_a_function_of_its_arguments():
    assert _first(sample_generator(3, TRAINING, 7)) == _first(sample_generator(3, TRAINING, 7))
    every = [_first(sample_generator(*where)) for where in ((3, 0, 7), (3, 0, 8), (3, 1, 7), (4, 0, 7), (0, 3, 7))]
    assert len({tuple(numbers) for numbers in every}) == len(every)
    assert TRAINING != HELD_OUT


@pytest.mark.parametrize("where", [(-1, 0, 0), (0, -1, 0), (0, 0, -1)])
def test_negative_numbers_are_no_place(where):
    with pytest.raises(ValueError, match="=-1 in sample_generator must be at least 0"):
        sample_generator(*where)


def test_what_a_sampler_must_return():
    good = draw(lambda n, g: torch.rand(n, 2, 3, generator=g), 4, sample_generator(0, 0), "mine")
    assert good.shape == (4, 2, 3)
    for bad in (
        torch.zeros(4),
        torch.zeros(3, 2),
        torch.zeros(4, 2, dtype=torch.int64),
        np.zeros((4, 2)),
    ):
        with pytest.raises(ValueError, match=r"mine returned .* floats of shape \(4, \.\.\.\)"):
            draw(lambda n, g, bad=bad: bad, 4, sample_generator(0, 0), "mine")


def test_samples_carry_no_gradients():
    weight = torch.ones(2, requires_grad=True)
    assert not draw(lambda n, g: weight * torch.ones(n, 1), 4, sample_generator(0, 0), "mine").requires_grad


def test_batches_are_as_large_as_asked_and_together_all():
    sizes = [len(x) for x in batches(Gaussian(0.0), 10, 4, sample_generator(0, 0), "p")]
    assert sizes == [4, 4, 2]
    finite = Samples(torch.arange(10.0)[:, None], replacement=False)
    drawn = list(batches(finite, 10, 4, sample_generator(0, 0), "p"))
    assert [len(x) for x in drawn] == [4, 4, 2]
    assert torch.cat(drawn).flatten().sort().values.tolist() == list(range(10))


def test_only_finite_sets_may_be_without_replacement():
    x = torch.zeros(3, 1)
    assert with_replacement(lambda n, g: x)
    assert with_replacement(Gaussian(0.0))
    assert with_replacement(Samples(x))
    assert not with_replacement(Samples(x, replacement=False))


def test_distributions_are_what_the_protocol_says():
    assert isinstance(Gaussian(0.0), Distribution)
    assert not isinstance(lambda n, g: torch.zeros(n, 1), Distribution)


def test_numbers_are_taken_from_lists_arrays_and_tensors():
    assert coordinates("A", "b", 2) == (2.0,)
    assert coordinates("A", "b", torch.tensor([1, 2])) == (1.0, 2.0)
    assert points("A", "b", np.eye(2)) == ((1.0, 0.0), (0.0, 1.0))
    assert probabilities("A", None, 4) == (0.25,) * 4
    assert probabilities("A", [1, 3], 2) == (0.25, 0.75)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: coordinates("A", "b", []), r"b in A has shape \(0,\); it must be a number or \(d,\) numbers"),
        (lambda: coordinates("A", "b", [[1.0]]), r"b in A has shape \(1, 1\)"),
        (lambda: coordinates("A", "b", "x"), "b='x' in A must be numbers"),
        (lambda: coordinates("A", "b", [1.0, float("nan")]), "b in A must be finite, and has infinity or NaN"),
        (lambda: points("A", "b", [1.0]), r"b in A has shape \(1,\); it must be \(k, d\)"),
        (lambda: points("A", "b", [[1.0], [1.0, 2.0]]), "in rows of one length"),
        (lambda: probabilities("A", [1.0, -1.0], 2), r"weights=\[1.0, -1.0\] in A must be 2 numbers >= 0"),
        (lambda: probabilities("A", [0.0, 0.0], 2), "with a positive sum"),
        (lambda: probabilities("A", [1.0], 2), "must be 2 numbers"),
        (lambda: check_positive("A", b=0.0), "b=0.0 in A must be positive and finite"),
        (lambda: check_positive("A", b=float("inf")), "b=inf in A must be positive and finite"),
        (lambda: check_counts("A", b=0), "b=0 in A must be an integer >= 1"),
        (lambda: check_counts("A", 0, b=True), "b=True in A must be an integer >= 0"),
    ],
)
def test_what_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
