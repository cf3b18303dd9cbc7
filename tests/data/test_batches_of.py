"""Batches are chosen by where the images are."""

import pytest
import torch
from tests.data.pictures import write_noise

from onelip.data import Augment, Batches, Generated, StreamedBatches, StreamedImages, batches_of


def test_all_arguments_reach_the_batches_of_either_kind(tmp_path):
    for i in range(5):
        write_noise(tmp_path / f"{i}.png", (10, 10), seed=i)
    streamed = StreamedImages(tmp_path, [f"{i}.png" for i in range(5)], torch.arange(5), 8, 10)
    options = {"shuffle": True, "augment": Augment(crop=1, flip=True), "seed": 9, "device": "cpu", "drop_last": True}
    from_disk, from_memory = (batches_of(data, 2, **options) for data in (streamed, streamed.in_memory()))
    assert isinstance(from_disk, StreamedBatches)
    assert isinstance(from_memory, Batches)
    expected = list(Batches(streamed.in_memory(), 2, **options))
    assert len(expected) == 2
    for batches in (from_disk, from_memory):
        for (x, y), (pixels, labels) in zip(batches, expected, strict=True):
            assert torch.equal(x, pixels)
            assert torch.equal(y, labels)


def test_generated_images_are_mixed_with_images_in_memory_only(tmp_path):
    write_noise(tmp_path / "a.png", (10, 10))
    streamed = StreamedImages(tmp_path, ["a.png"] * 4, torch.arange(4), 8, 10)
    generated = Generated(streamed.in_memory(), ratio=1.0)
    assert [len(y) for _, y in batches_of(streamed.in_memory(), 4, shuffle=True, generated=generated)] == [4, 4]
    with pytest.raises(ValueError, match="generated in batches_of is mixed with images in memory only"):
        batches_of(streamed, 4, shuffle=True, generated=generated)


def test_other_data_is_refused():
    with pytest.raises(TypeError, match="data of type Tensor in batches_of must be ImageData or StreamedImages"):
        batches_of(torch.zeros(1), 2, shuffle=True)
