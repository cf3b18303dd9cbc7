"""Batches are pure functions of seed, epoch and number; nothing is lost or doubled."""

import pytest
import torch

from onelip.data import Augment, Batches, Generated, ImageData, RandAugment

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


def test_batches_stay_what_they_were():
    batches = Batches(numbered(), 5, shuffle=True, augment=Augment(crop=2, flip=True), seed=3)
    batches.set_epoch(2)
    pixels, labels = batches.batch(1)
    # Trainings are resumed, and numbers were published, with this order and these shifts.
    assert labels.tolist() == [17, 21, 15, 14, 13]
    assert (pixels[:, 0] > 0).flatten(1).sum(1).tolist() == [15, 16, 12, 24, 12]


def pool(n=31):
    data = numbered(n)
    return ImageData(255 - data.images, 1000 + data.labels, 255.0)


def mixed(batch_size=8, ratio=3.0, size=31, **options):
    return Batches(numbered(), batch_size, shuffle=True, generated=Generated(pool(size), ratio=ratio), **options)


def read(batches, epochs=1):
    for epoch in range(epochs):
        batches.set_epoch(epoch)
        yield from batches


@pytest.mark.parametrize(("size", "ratio", "n_real"), [(8, 3.0, 2), (12, 1.0, 6), (9, 0.5, 6)])
def test_generated_images_fill_each_batch_at_their_ratio(size, ratio, n_real):
    batches = mixed(size, ratio)
    real = []
    for number, (x, y) in enumerate(batches):
        last = number == len(batches) - 1
        expected = len(numbered()) - number * n_real if last else n_real
        assert (y < 1000).tolist() == [True] * expected + [False] * int(expected * (size - n_real) / n_real + 0.5)
        assert torch.equal((255 * x[:, 0, 0, 0]).round().long(), torch.where(y < 1000, y, 1255 - y))
        real += y[:expected].tolist()
    assert sorted(real) == list(range(23))
    assert len(batches) == -(-23 // n_real)


@pytest.mark.parametrize("size", [7, 31, 200])
@pytest.mark.parametrize("drop_last", [True, False])
def test_the_pool_is_gone_through_once_before_any_image_returns(size, drop_last):
    taken = torch.cat([y[y >= 1000] for _, y in read(mixed(size=size, drop_last=drop_last), epochs=6)]).tolist()
    for first in range(0, len(taken) - size + 1, size):
        assert sorted(taken[first : first + size]) == list(range(1000, 1000 + size))
    assert len(taken) == 6 * (66 if drop_last else 69)
    if size == 200:
        # Each epoch has a part of the pool of its own.
        assert len(set(taken[:200])) == 200


def test_mixed_batches_restart_at_any_epoch_and_batch():
    options = {"augment": Augment(crop=2, flip=True), "seed": 1}
    whole = list(read(mixed(**options), epochs=4))
    resumed = mixed(**options)
    resumed.set_epoch(3)
    for first in (0, 5, 11):
        assert same(list(resumed.from_batch(first)), whole[36 + first :])
    assert same([resumed.batch(7)], [whole[43]])


def test_the_real_images_of_mixed_batches_are_those_without_the_pool():
    options = {"shuffle": True, "augment": ALL_CHANGES, "seed": 2}
    alone = list(Batches(numbered(), 2, **options))
    both = list(Batches(numbered(), 8, generated=Generated(pool()), **options))
    assert same([(x[: len(y)], y) for (x, _), (_, y) in zip(both, alone, strict=True)], alone)


def test_generated_images_may_have_changes_of_their_own():
    only_pool = Generated(pool(), augment=Augment(crop=2))
    moved = list(Batches(numbered(), 8, shuffle=True, generated=only_pool))
    for x, y in moved:
        assert torch.equal(x[y < 1000], numbered().pixels(y[y < 1000]))
    assert any(bool((x[y >= 1000] == 0).any()) for x, y in moved)
    same_as_real = mixed(augment=Augment(crop=2))
    assert any(bool((x[y >= 1000] == 0).any()) for x, y in same_as_real)


def test_generated_images_move_independently_of_the_real_ones():
    image = torch.arange(1, 26, dtype=torch.uint8).view(1, 1, 5, 5).expand(20, 1, 5, 5).contiguous()
    data = ImageData(image, torch.zeros(20, dtype=torch.int64), 255.0)
    x, _ = Batches(data, 40, shuffle=True, augment=Augment(crop=2), generated=Generated(data, ratio=1.0)).batch(0)
    assert float((x[:20] == x[20:]).flatten(1).all(1).float().mean()) < 0.5


def test_the_mean_colour_is_that_of_the_real_images_in_either_unit():
    real = numbered(dtype=torch.float32)
    batches = Batches(real, 8, shuffle=True, augment=Augment(crop=3, fill="mean"), generated=Generated(pool()))
    mean = real.channel_mean()[0]
    for x, y in batches:
        for images, tolerance in ((x[y < 1000], 1e-6), (x[y >= 1000], 0.5 / 255 + 1e-6)):
            for image in images[:, 0]:
                values = image.unique()
                # The image's own value, and that of what a crop uncovers.
                assert len(values) <= 2
                assert len(values) == 1 or float((values - mean).abs().min()) <= tolerance


def test_every_change_is_made_in_mixed_batches():
    data = ImageData(torch.randint(0, 256, (9, 3, 8, 8)).to(torch.uint8), torch.zeros(9, dtype=torch.int64), 255.0)
    augment = Augment(crop=1, cutout=3, rand_augment=RandAugment(probability=0.5))
    pictures = list(Batches(data, 8, shuffle=True, augment=augment, generated=Generated(data)))
    assert all(x.shape[1:] == (3, 8, 8) and 0 <= float(x.min()) <= float(x.max()) <= 1 for x, _ in pictures)


def test_a_pool_that_does_not_fit_is_refused():
    other = ImageData(torch.zeros(3, 1, 6, 5), torch.zeros(3, dtype=torch.int64), 1.0)
    with pytest.raises(ValueError, match=r"shape \(1, 6, 5\) in Batches; the real ones have shape \(2, 6, 5\)"):
        Batches(numbered(), 8, shuffle=True, generated=Generated(other))
    with pytest.raises(ValueError, match="batch_size=2 leaves no room"):
        mixed(2, 9.0)
    with pytest.raises(ValueError, match="batch_size=96 leaves no batch of 23 images"):
        mixed(96, drop_last=True)


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
