"""Batches are pure functions of seed, epoch and number; nothing is lost or doubled."""

import pytest
import torch

from onelip.data import Augment, Batches, ImageData

ALL_CHANGES = Augment(crop=2, flip=True, rotate=10.0, scale=0.1, translate=0.1)


def numbered(n=23, dtype=torch.uint8):
    images = torch.arange(n).view(n, 1, 1, 1).expand(n, 2, 6, 5)
    images = images.to(torch.uint8) if dtype == torch.uint8 else images / 255
    return ImageData(images.contiguous(), torch.arange(n), 255.0 if dtype == torch.uint8 else 1.0)


def labels(batches):
    return torch.cat([y for _, y in batches]).tolist()


def same(left, right):
    return len(left) == len(right) and all(
        torch.equal(a, c) and torch.equal(b, d) for (a, b), (c, d) in zip(left, right, strict=True)
    )


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
@pytest.mark.parametrize("shuffle", [True, False])
def test_an_epoch_has_every_image_once_with_its_label(shuffle, dtype):
    data = numbered(dtype=dtype)
    batches = Batches(data, 5, shuffle=shuffle)
    read = list(batches)
    assert len(batches) == len(read) == 5
    assert [len(y) for _, y in read] == [5, 5, 5, 5, 3]
    assert sorted(labels(batches)) == list(range(23))
    for x, y in read:
        assert x.dtype == torch.float32
        assert torch.equal(x, data.pixels(y))


def test_without_shuffle_the_order_is_that_of_the_data():
    assert labels(Batches(numbered(), 4, shuffle=False)) == list(range(23))


def test_drop_last_leaves_out_what_does_not_fill_a_batch():
    batches = Batches(numbered(), 5, shuffle=True, drop_last=True)
    assert len(batches) == 4
    assert [len(y) for _, y in batches] == [5] * 4


@pytest.mark.parametrize("fill", ["zeros", "mean"])
def test_the_same_seed_and_epoch_give_the_same_batches_whatever_was_read_before(fill):
    options = {"shuffle": True, "augment": Augment(2, True, 10.0, 0.1, 0.1, fill), "seed": 3}
    one, two = Batches(numbered(), 5, **options), Batches(numbered(), 5, **options)
    list(one)
    one.set_epoch(7)
    list(one)
    one.set_epoch(2)
    two.set_epoch(2)
    torch.rand(10)
    assert same(list(one), list(two))


def test_a_restart_at_any_batch_gives_the_rest_of_the_epoch():
    options = {"shuffle": True, "augment": ALL_CHANGES, "seed": 1}
    whole, resumed = Batches(numbered(), 5, **options), Batches(numbered(), 5, **options)
    whole.set_epoch(4)
    resumed.set_epoch(4)
    read = list(whole)
    for first in range(6):
        assert same(list(resumed.from_batch(first)), read[first:])
    assert same([resumed.batch(2)], [read[2]])


def test_epochs_seeds_and_batches_differ():
    def read(seed, epoch, augment=None):
        batches = Batches(numbered(), 5, shuffle=augment is None, augment=augment, seed=seed)
        batches.set_epoch(epoch)
        return list(batches)

    assert not same(read(0, 0), read(0, 1))
    assert not same(read(0, 0), read(1, 0))
    assert not same(read(0, 0, ALL_CHANGES), read(0, 1, ALL_CHANGES))
    data = ImageData(torch.rand(1, 1, 6, 6).expand(10, 1, 6, 6).contiguous(), torch.zeros(10, dtype=torch.int64), 1.0)
    first, second = (x for x, _ in Batches(data, 5, shuffle=False, augment=Augment(crop=3)))
    assert not torch.equal(first, second)


def test_two_iterators_do_not_disturb_each_other():
    batches = Batches(numbered(), 5, shuffle=True, augment=ALL_CHANGES)
    alone = list(batches)
    pairs = list(zip(batches, batches, strict=True))
    assert same([a for a, _ in pairs], alone)
    assert same([b for _, b in pairs], alone)


def test_an_iterator_keeps_the_epoch_it_began_with():
    batches = Batches(numbered(), 5, shuffle=True)
    expected = list(batches)
    iterator = iter(batches)
    read = [next(iterator)]
    batches.set_epoch(1)
    assert same(read + list(iterator), expected)


def test_the_mean_colour_fills_what_a_crop_uncovers():
    images = torch.full((8, 1, 4, 4), 100, dtype=torch.uint8)
    images[4:] = 200
    data = ImageData(images, torch.zeros(8, dtype=torch.int64), 255.0)
    batches = Batches(data, 8, shuffle=False, augment=Augment(crop=3, fill="mean"))
    pixels = torch.cat([x for x, _ in batches])
    assert set((255 * pixels).round().long().unique().tolist()) == {100, 150, 200}


def test_the_data_and_its_batches_do_not_share_memory():
    data = numbered(dtype=torch.float32)
    before = data.images.clone()
    for x, y in Batches(data, 5, shuffle=False):
        x.zero_()
        y.zero_()
    assert torch.equal(data.images, before)
    assert data.labels.tolist() == list(range(23))


@pytest.mark.parametrize(
    ("size", "options", "sentence"),
    [
        (0, {}, "batch_size=0 in Batches must be an integer >= 1"),
        (-3, {}, "batch_size=-3"),
        (2.5, {}, "batch_size=2.5"),
        (24, {"drop_last": True}, "batch_size=24 leaves no batch of 23 images"),
        (4, {"seed": -1}, "seed=-1"),
    ],
)
def test_arguments_out_of_range_are_refused(size, options, sentence):
    with pytest.raises(ValueError, match=sentence):
        Batches(numbered(), size, shuffle=True, **options)


def test_an_epoch_or_batch_that_does_not_exist_is_refused():
    batches = Batches(numbered(), 5, shuffle=True)
    with pytest.raises(ValueError, match="epoch=-1"):
        batches.set_epoch(-1)
    with pytest.raises(IndexError, match=r"number=5 in Batches.batch must lie in 0..4"):
        batches.batch(5)
