"""Batches from disk are the same pure functions as those from memory, and never many at once."""

import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.data.pictures import write_noise

from onelip.data import Augment, Batches, DataError, ResizedCrop, StreamedBatches, StreamedImages

CHANGES = Augment(crop=2, flip=True, rotate=10.0, resized_crop=ResizedCrop())


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    root = tmp_path_factory.mktemp("images")
    files = [f"{i}.jpeg" for i in range(11)]
    for i, name in enumerate(files):
        write_noise(root / name, (20 + i, 30 - i), seed=i)
    return StreamedImages(root, files, torch.arange(11), 8, 10, threads=3)


def same(left, right):
    return len(left) == len(right) and all(
        torch.equal(a, c) and torch.equal(b, d) for (a, b), (c, d) in zip(left, right, strict=True)
    )


@pytest.mark.parametrize("augment", [None, Augment(crop=2, flip=True, fill="mean")])
@pytest.mark.parametrize("shuffle", [True, False])
def test_without_boxes_they_are_the_batches_of_the_decoded_images(images, augment, shuffle):
    options = {"shuffle": shuffle, "augment": augment, "seed": 4}
    kept, read = Batches(images.in_memory(), 4, **options), StreamedBatches(images, 4, **options)
    for epoch in (0, 3):
        kept.set_epoch(epoch)
        read.set_epoch(epoch)
        assert same(list(read), list(kept))
    assert len(read) == len(kept) == 3
    assert same([read.batch(1)], [kept.batch(1)])


def test_boxes_are_cut_from_whole_images_by_seed_epoch_and_place(images):
    crop = ResizedCrop(scale=(0.1, 0.5))
    batches = StreamedBatches(images, 4, shuffle=True, augment=Augment(resized_crop=crop), seed=7)
    batches.set_epoch(2)
    for pixels, labels in batches:
        for image, label in zip(pixels, labels.tolist(), strict=True):
            rng = np.random.default_rng([7, 2, 5, label])
            expected = images.read(label, lambda h, w, rng=rng: crop.boxes(1, h, w, rng)[:, 0].tolist())
            assert torch.equal(image, torch.tensor(expected).permute(2, 0, 1) / 255)


@pytest.mark.parametrize(("threads", "ahead"), [(1, 1), (4, 5)])
def test_threads_and_batches_ahead_change_nothing(images, threads, ahead):
    one = StreamedBatches(images, 4, shuffle=True, augment=CHANGES, seed=1)
    other = StreamedImages(images.root, images.files, images.labels, 8, 10, threads=threads)
    two = StreamedBatches(other, 4, shuffle=True, augment=CHANGES, seed=1, ahead=ahead)
    assert same(list(one), list(two))


def test_a_restart_at_any_batch_gives_the_rest_of_the_epoch(images):
    whole, resumed = (StreamedBatches(images, 4, shuffle=True, augment=CHANGES, seed=1) for _ in range(2))
    whole.set_epoch(4)
    resumed.set_epoch(4)
    read = list(whole)
    torch.rand(10)
    for first in range(4):
        assert same(list(resumed.from_batch(first)), read[first:])
    assert same([resumed.batch(2)], [read[2]])
    whole.set_epoch(5)
    assert not same(list(whole), read)


def test_two_iterators_do_not_disturb_each_other(images):
    batches = StreamedBatches(images, 4, shuffle=True, augment=CHANGES)
    alone = list(batches)
    pairs = list(zip(batches, batches, strict=True))
    assert same([a for a, _ in pairs], alone)
    assert same([b for _, b in pairs], alone)


def test_no_more_than_the_batches_ahead_are_decoded(images, monkeypatch):
    read = []
    monkeypatch.setattr(StreamedImages, "read", lambda self, i, box=None: read.append(i) or np.zeros((8, 8, 3)))
    iterator = iter(StreamedBatches(images, 1, shuffle=False, ahead=2))
    for number in range(3):
        next(iterator)
        assert set(range(number + 1)) <= set(read) <= set(range(number + 3))
    iterator.close()
    assert len(read) <= 5


def test_leaving_an_epoch_early_ends_its_threads(images):
    before = threading.active_count()
    iterator = iter(StreamedBatches(images, 2, shuffle=True))
    next(iterator)
    assert threading.active_count() > before
    iterator.close()
    assert threading.active_count() == before


def test_a_broken_file_is_named_and_ends_the_epoch(tmp_path):
    for name in ("a.jpeg", "b.jpeg", "c.jpeg"):
        write_noise(tmp_path / name, (64, 64))
    Path(tmp_path / "b.jpeg").write_bytes((tmp_path / "b.jpeg").read_bytes()[:-300])
    data = StreamedImages(tmp_path, ["a.jpeg", "b.jpeg", "c.jpeg"], torch.zeros(3).long(), 8, 10, 2)
    before = threading.active_count()
    iterator = iter(StreamedBatches(data, 1, shuffle=False))
    next(iterator)
    with pytest.raises(DataError, match=r"b\.jpeg cannot be read as an image"):
        next(iterator)
    assert threading.active_count() == before


def test_arguments_out_of_range_are_refused(images):
    with pytest.raises(ValueError, match="ahead=0 in StreamedBatches must be a number of batches"):
        StreamedBatches(images, 2, shuffle=True, ahead=0)
    with pytest.raises(ValueError, match="batch_size=0 in StreamedBatches must be an integer >= 1"):
        StreamedBatches(images, 0, shuffle=True)
