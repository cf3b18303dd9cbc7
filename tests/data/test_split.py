"""Validation splits: disjoint, stratified, seeded."""

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from onelip.data import ImageData, hold_out, split


def numbered(labels):
    """Images whose only pixel is their number, so that each can be recognised."""
    n = len(labels)
    return ImageData(torch.arange(n, dtype=torch.float32).view(n, 1, 1, 1), torch.tensor(labels), 1.0)


def numbers(part):
    return part.images.flatten().long().tolist()


@given(
    labels=st.lists(st.integers(0, 3), min_size=8, max_size=60),
    fraction=st.floats(0.1, 0.9),
    seed=st.integers(0, 2**63),
)
def test_parts_are_disjoint_complete_ordered_and_stratified(labels, fraction, seed):
    n_held = sum(int(fraction * labels.count(label) + 0.5) for label in set(labels))
    assume(0 < n_held < len(labels))
    train, validation = split(numbered(labels), fraction, seed)
    assert sorted(numbers(train) + numbers(validation)) == list(range(len(labels)))
    assert numbers(train) == sorted(numbers(train))
    assert numbers(validation) == sorted(numbers(validation))
    assert [labels[i] for i in numbers(validation)] == validation.labels.tolist()
    for label in set(labels):
        n = labels.count(label)
        assert abs(validation.labels.tolist().count(label) - fraction * n) <= 0.5


def test_the_seed_decides():
    data = numbered([0, 1] * 50)
    first, again, other = (numbers(split(data, 0.3, seed)[1]) for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_half_an_image_counts_as_one():
    assert len(split(numbered([0] * 5 + [1] * 5), 0.1, 0)[1]) == 2


def test_a_fraction_of_zero_holds_none_out():
    train, validation = split(numbered([0, 1, 1]), 0.0, 3)
    assert numbers(train) == numbers(numbered([0, 1, 1]))
    assert len(validation) == 0


@pytest.mark.parametrize("fraction", [1.0, -0.1, 1.5, float("nan")])
def test_a_fraction_outside_is_refused(fraction):
    with pytest.raises(ValueError, match="fraction="):
        split(numbered([0, 1]), fraction, 0)


def test_a_negative_seed_is_refused():
    with pytest.raises(ValueError, match="seed=-1"):
        split(numbered([0, 1]), 0.5, -1)


@pytest.mark.parametrize(("labels", "fraction"), [([0, 1, 2], 0.1), ([0, 1, 2], 0.9), ([], 0.5)])
def test_an_empty_part_is_refused(labels, fraction):
    data = numbered(labels) if labels else ImageData(torch.zeros(0, 1, 1, 1), torch.zeros(0, dtype=torch.int64), 1.0)
    with pytest.raises(ValueError, match="leaves one part empty"):
        split(data, fraction, 0)


def test_what_is_taken_is_not_drawn_and_counts_all_the_same():
    labels = torch.arange(40) % 2
    taken = torch.arange(12)
    drawn = hold_out(labels, 0.25, 3, taken)
    assert labels[drawn].bincount().tolist() == [5, 5]
    assert drawn.min() >= 12
    assert drawn.tolist() == sorted(set(drawn.tolist()))
    assert torch.equal(drawn, hold_out(labels, 0.25, 3, taken))
    assert not torch.equal(drawn, hold_out(labels, 0.25, 4, taken))
    with pytest.raises(
        ValueError, match=r"fraction=0.5 of the 20 images of class 1 are 10 to hold out, and only 8 are"
    ):
        hold_out(labels, 0.5, 0, torch.cat([taken[1::2], torch.arange(13, 25, 2)]))


def test_a_split_holds_out_what_is_drawn():
    labels = [0, 1, 1] * 8
    assert numbers(split(numbered(labels), 0.4, 5)[1]) == hold_out(torch.tensor(labels), 0.4, 5).tolist()
