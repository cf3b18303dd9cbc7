"""Random numbers that depend on the seed, the epoch and the batch alone."""

import itertools

import pytest
import torch

from onelip.tasks.batch_generator import BatchGenerator

CPU = torch.device("cpu")


def numbers(seed, purpose, epoch, batch):
    source = BatchGenerator(seed, purpose)
    source.set_batch(epoch, batch)
    return torch.rand(4, generator=source.on(CPU))


def test_each_place_has_numbers_of_its_own_and_the_same_ones_again():
    places = list(itertools.product((0, 7), (1, 2), (0, 1), (0, 1)))
    drawn = [numbers(*place) for place in places]
    assert all(torch.equal(numbers(*place), n) for place, n in zip(places, drawn, strict=True))
    assert len({tuple(n.tolist()) for n in drawn}) == len(places)


def test_torchs_own_come_before_the_first_place():
    assert BatchGenerator(0, 1).on(CPU) is None


def test_torchs_own_are_left_alone():
    before = torch.get_rng_state()
    numbers(0, 1, 2, 3)
    assert torch.equal(torch.get_rng_state(), before)


def test_negative_seeds_are_refused():
    with pytest.raises(ValueError, match="seed=-1"):
        BatchGenerator(-1, 0)
