"""What the base of all batches decides: their number, members and random numbers."""

import numpy as np
import pytest
import torch

from onelip.data import Augment, ImageData
from onelip.data.batch_sequence import BatchSequence, fill_colour


class Members(BatchSequence):
    """Batches of positions alone."""

    def __init__(self, n_images, batch_size, *, n_taken=None, shuffle=True, seed=0, drop_last=False):
        super().__init__(n_images, batch_size, n_taken=n_taken, shuffle=shuffle, seed=seed, drop_last=drop_last)

    def _batch(self, epoch, number):
        members, piece = self._members(epoch, number), self.piece(number)
        return torch.from_numpy(self._rng(epoch, number, piece).random(len(members))), members

    def _read(self, first):
        return (self._batch(self.epoch, number) for number in range(first, len(self)))


@pytest.mark.parametrize(("drop_last", "lengths"), [(False, [4, 4, 2]), (True, [4, 4])])
def test_an_epoch_is_a_permutation_cut_into_batches(drop_last, lengths):
    batches = Members(10, 4, drop_last=drop_last)
    read = [members for _, members in batches]
    assert [len(members) for members in read] == lengths
    assert len(batches) == len(lengths)
    assert len(torch.cat(read).unique()) == sum(lengths)


def test_a_batch_may_take_a_part_of_its_images_from_elsewhere():
    batches = Members(10, 8, n_taken=3, shuffle=False)
    assert [members.tolist() for _, members in batches] == [[0, 1, 2], [3, 4, 5], [6, 7, 8], [9]]
    assert len(Members(10, 8, n_taken=3, drop_last=True)) == 3


def test_order_and_changes_follow_their_documented_streams():
    batches = Members(10, 4, seed=3)
    batches.set_epoch(5)
    changes, members = batches.batch(1)
    assert members.tolist() == np.random.default_rng([3, 5, 1]).permutation(10)[4:8].tolist()
    assert changes.tolist() == np.random.default_rng([3, 5, 2, 1]).random(4).tolist()


def test_errors_name_the_kind_of_batches():
    with pytest.raises(ValueError, match="batch_size=0 in Members must be an integer >= 1"):
        Members(10, 0)
    with pytest.raises(ValueError, match=r"epoch=-1 in Members.set_epoch"):
        Members(10, 4).set_epoch(-1)
    with pytest.raises(IndexError, match=r"number=3 in Members.batch must lie in 0..2"):
        Members(10, 4).batch(3)


@pytest.mark.parametrize(("whole", "expected"), [(True, 14.0), (False, 13.6)])
def test_the_fill_colour_is_the_mean_pixel_in_stored_values(whole, expected):
    images = ImageData(torch.tensor([0.5, 0.7, 0.5]).repeat(4).view(12, 1, 1, 1), torch.zeros(12).long(), 1.0)
    colour = fill_colour(Augment(crop=1, fill="mean"), images, scale=24.0, whole=whole)
    assert colour.tolist() == pytest.approx([expected], rel=1e-6)
    assert fill_colour(Augment(crop=1), images, scale=24.0, whole=whole) is None
    assert fill_colour(Augment(fill="mean"), images, scale=24.0, whole=whole) is None
