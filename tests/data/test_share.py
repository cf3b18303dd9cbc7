"""Pieces of batches: together they are the batch that one process would see."""

import numpy as np
import pytest
import torch
from tests.data.pictures import write_noise

from onelip.data import Augment, Batches, Generated, ImageData, Share, StreamedBatches, StreamedImages
from onelip.data.share import Piece, PieceOfDraws

CHANGES = {
    "shifts": {"crop": 2, "flip": True, "fill": "mean"},
    "warps": {"rotate": 10.0, "scale": 0.1, "translate": 0.1},
    "crops": {"resized_crop": {}},
    "colours": {"color_jitter": {"brightness": 0.3, "contrast": 0.3, "saturation": 0.3, "hue": 0.1}},
    "rand": {"rand_augment": {"probability": 0.7}, "cutout": 3},
}


def images(n: int, seed: int = 0) -> ImageData:
    rng = torch.Generator().manual_seed(seed)
    pixels = torch.randint(256, (n, 3, 8, 8), generator=rng).byte()
    return ImageData(pixels, torch.randint(10, (n,), generator=rng), 255.0)


def joined(parts, number):
    """The batch that processes have pieces of, in their order."""
    made = [part.batch(number) for part in parts]
    return torch.cat([pixels for pixels, _ in made]), torch.cat([labels for _, labels in made])


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("size", [2, 3])
def test_pieces_of_a_batch_are_changed_as_in_the_whole(change, size):
    options = {"shuffle": True, "augment": Augment.from_options(CHANGES[change]), "seed": 3}
    whole = Batches(images(25), 10, **options)
    parts = [Batches(images(25), 10, share=Share(rank, size), **options) for rank in range(size)]
    for number in range(len(whole)):
        pixels, labels = joined(parts, number)
        expected, expected_labels = whole.batch(number)
        assert torch.equal(labels, expected_labels)
        # Products of matrices of other batch sizes may round otherwise.
        assert torch.allclose(pixels, expected, atol=1e-6)
        assert [len(part.batch(number)[1]) for part in parts] != [0] * size


def test_generated_images_are_divided_with_the_real_ones():
    pool = Generated(images(11, seed=1), ratio=1.5)
    options = {"shuffle": True, "augment": Augment(crop=1, flip=True), "generated": pool}
    whole = Batches(images(13), 5, **options)
    # Five processes: each has images of one kind only.
    parts = [Batches(images(13), 5, share=Share(rank, 5), **options) for rank in range(5)]
    for number in range(len(whole) - 1):
        assert sum(part.piece(number).last - part.piece(number).first for part in parts) == whole.piece(number).n == 5
        pixels, labels = joined(parts, number)
        assert torch.equal(pixels, whole.batch(number)[0])
        assert torch.equal(labels, whole.batch(number)[1])


def test_images_on_disk_are_decoded_by_one_process_each(tmp_path, monkeypatch):
    for i in range(5):
        write_noise(tmp_path / f"{i}.png", (9, 9), seed=i)
    data = StreamedImages(tmp_path, [f"{i}.png" for i in range(5)], torch.arange(5), size=8, resize=8, threads=1)
    options = {"shuffle": True, "augment": Augment.from_options({"resized_crop": {}, "flip": True})}
    expected = [StreamedBatches(data, 3, **options).batch(number) for number in range(2)]
    read = []
    original = StreamedImages.read
    monkeypatch.setattr(StreamedImages, "read", lambda self, i, box: read.append(i) or original(self, i, box))
    parts = [StreamedBatches(data, 3, share=Share(rank, 2), **options) for rank in range(2)]
    for number in range(2):
        pixels, labels = joined(parts, number)
        assert torch.equal(pixels, expected[number][0])
        assert torch.equal(labels, expected[number][1])
    assert sorted(read) == list(range(5))


def test_a_batch_of_fewer_images_than_processes_is_everyones():
    assert [Share(rank, 3).of(2) for rank in range(3)] == [Piece(0, 2, 2)] * 3
    assert [Share(rank, 3).of(4) for rank in range(3)] == [Piece(0, 1, 4), Piece(1, 2, 4), Piece(2, 4, 4)]


def test_a_process_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match=r"rank=2 in Share must be one of the size=2 processes"):
        Share(2, 2)


def test_numbers_that_belong_to_no_image_are_refused():
    rng = PieceOfDraws(np.random.default_rng(0), Piece(0, 2, 5))
    with pytest.raises(ValueError, match=r"size=3 of random numbers in PieceOfDraws must end with the number of"):
        rng.random(3)
