"""Laws of the random changes, against transcriptions that change one image at a time."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from onelip.data import Augment, ColorJitter, RandAugment, ResizedCrop

# Bilinear weights are computed in float32 from coordinates of size about 1.
TOLERANCE = 1e-5
SHAPES = [(5, 1, 8, 8), (4, 3, 7, 10), (3, 1, 1, 6)]


def rng(seed=0):
    return np.random.default_rng(seed)


def test_no_change_is_the_identity():
    images = torch.rand(5, 3, 8, 8)
    assert not Augment().active
    assert torch.equal(Augment().apply(images, rng()), images)


def test_bytes_become_pixels():
    stored = torch.tensor([0, 51, 255], dtype=torch.uint8).view(1, 1, 1, 3)
    assert torch.equal(Augment().apply(stored, rng(), scale=255.0), stored.float() / 255)


def test_flip_mirrors_about_half_of_the_images_and_nothing_else():
    images = torch.rand(400, 1, 2, 3)
    flipped = Augment(flip=True).apply(images, rng())
    is_mirrored = (flipped == images.flip(3)).flatten(1).all(1)
    assert bool((is_mirrored | (flipped == images).flatten(1).all(1)).all())
    # Five standard deviations of 400 fair coins.
    assert abs(int(is_mirrored.sum()) - 200) < 50


def test_crop_reaches_every_shift_up_to_its_size():
    image = torch.zeros(1, 1, 9, 9)
    image[0, 0, 4, 4] = 1.0
    moved = Augment(crop=2).apply(image.expand(600, -1, -1, -1), rng())
    seen = {tuple(at.tolist()) for at in moved[:, 0].nonzero()[:, 1:]}
    assert seen == {(i, j) for i in range(2, 7) for j in range(2, 7)}


@given(
    augment=st.builds(
        Augment,
        crop=st.integers(0, 4),
        flip=st.booleans(),
        rotate=st.floats(0, 180),
        scale=st.floats(0, 0.9),
        translate=st.floats(0, 1),
        cutout=st.integers(0, 9),
        resized_crop=st.sampled_from([None, ResizedCrop()]),
        color_jitter=st.sampled_from([None, ColorJitter(2.0, 2.0, 2.0, 0.5)]),
        rand_augment=st.sampled_from([None, RandAugment(3, 30)]),
    ),
    coloured=st.booleans(),
    shape=st.sampled_from(SHAPES),
)
def test_pixels_stay_in_range_and_the_input_is_untouched(augment, coloured, shape):
    images = torch.rand(shape, generator=torch.Generator().manual_seed(0)).round(decimals=1)
    before, colour = images.clone(), torch.full(shape[1:2], 0.3)
    changed = augment.apply(images, rng(), colour=colour if coloured else None)
    assert changed.shape == images.shape
    assert torch.equal(images, before)
    assert float(changed.min()) >= 0.0
    assert float(changed.max()) <= 1.0


@given(
    augment=st.builds(
        Augment,
        crop=st.integers(0, 3),
        flip=st.booleans(),
        rotate=st.floats(0, 90),
        cutout=st.integers(0, 3),
        resized_crop=st.sampled_from([None, ResizedCrop()]),
    )
)
def test_an_image_of_the_fill_colour_stays_so(augment):
    colour = torch.tensor([0.2, 0.7])
    images = colour.view(1, 2, 1, 1).expand(3, 2, 6, 5)
    assert torch.allclose(augment.apply(images, rng(), colour=colour), images, atol=TOLERANCE)


PARTS = {
    "cutout": 3,
    "resized_crop": ResizedCrop((0.2, 0.5)),
    "color_jitter": ColorJitter(brightness=0.5),
    "rand_augment": RandAugment(3, 20),
}


def test_the_parts_follow_each_other_on_one_stream_of_random_numbers():
    images, colour = torch.randint(0, 256, (40, 3, 9, 9)).to(torch.uint8), torch.tensor([9, 20, 230], dtype=torch.uint8)
    everything = Augment(crop=2, flip=True, rotate=9.0, fill="mean", **PARTS)
    draws, pixels, ground = rng(), images / 255, colour / 255
    pixels = Augment(resized_crop=PARTS["resized_crop"]).apply(pixels, draws)
    pixels = Augment(crop=2, flip=True, rotate=9.0).apply(pixels, draws, colour=ground)
    pixels = Augment(color_jitter=PARTS["color_jitter"]).apply(pixels, draws)
    pixels = Augment(rand_augment=PARTS["rand_augment"]).apply(pixels, draws, colour=ground)
    pixels = Augment(cutout=3).apply(pixels, draws, colour=ground)
    assert torch.equal(everything.apply(images, rng(), scale=255.0, colour=colour), pixels)


@pytest.mark.parametrize("name", PARTS)
def test_each_part_changes_images_and_a_part_of_the_stream(name):
    images, augment = torch.rand(60, 1, 9, 9) / 2 + 0.25, Augment(**{name: PARTS[name]})
    draws = rng()
    changed = augment.apply(images, draws)
    assert augment.active
    # RandAugment leaves one image in 14 x 14 x 14 alone, and grey pictures more often.
    assert (changed != images).flatten(1).any(1).float().mean() > 0.5
    assert draws.random() != rng().random()


def test_a_jitter_of_nothing_is_not_active():
    assert not Augment(color_jitter=ColorJitter()).active


def test_plain_values_make_the_same_changes():
    options = {
        "crop": 4,
        "cutout": 8,
        "fill": "mean",
        "resized_crop": {"scale": (0.5, 1.0)},
        "color_jitter": None,
        "rand_augment": {},
    }
    expected = Augment(crop=4, cutout=8, fill="mean", resized_crop=ResizedCrop((0.5, 1.0)), rand_augment=RandAugment())
    assert Augment.from_options(options) == expected
    assert Augment.from_options({}) == Augment()
    with pytest.raises(ValueError, match="magnitude=99"):
        Augment.from_options({"rand_augment": {"magnitude": 99}})


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"crop": -1}, "crop=-1"),
        ({"crop": 1.5}, "crop=1.5"),
        ({"crop": True}, "crop=True"),
        ({"flip": 1}, "flip=1"),
        ({"rotate": 181.0}, r"rotate=181.0 in Augment must lie in \[0, 180\]"),
        ({"scale": 1.0}, "scale=1.0"),
        ({"translate": float("nan")}, "translate=nan"),
        ({"fill": "black"}, "fill='black'"),
        ({"cutout": -1}, "cutout=-1 in Augment must be a number of pixels"),
        ({"cutout": 1.5}, "cutout=1.5"),
        ({"rand_augment": {"magnitude": 3}}, "rand_augment=.* must be a RandAugment or None; Augment.from_options"),
        ({"resized_crop": True}, "resized_crop=True"),
        ({"color_jitter": 0.4}, "color_jitter=0.4"),
    ],
)
def test_options_out_of_range_are_refused(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        Augment(**options)
