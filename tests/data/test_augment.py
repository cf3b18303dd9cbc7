"""Laws of the random changes, against transcriptions that change one image at a time."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from onelip.data import Augment
from onelip.data.augment import shift_and_mirror, warp

# Bilinear weights are computed in float32 from coordinates of size about 1.
TOLERANCE = 1e-5
SHAPES = [(5, 1, 8, 8), (4, 3, 7, 10), (3, 2, 1, 6)]


def rng(seed=0):
    return np.random.default_rng(seed)


def moved_one_by_one(images, dy, dx, mirrored, colour):
    out = colour.view(1, -1, 1, 1).expand_as(images).clone()
    height, width = images.shape[2:]
    for n in range(len(images)):
        for i in range(height):
            for j in range(width):
                y, x = i + dy[n], (width - 1 - j if mirrored[n] else j) + dx[n]
                if 0 <= y < height and 0 <= x < width:
                    out[n, :, i, j] = images[n, :, y, x]
    return out


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("coloured", [True, False])
def test_shift_and_mirror_move_whole_pixels(shape, coloured, dtype):
    images = torch.randint(1, 255, shape).to(dtype)
    colour = torch.randint(1, 255, shape[1:2]).to(dtype)
    margin = 3
    dy, dx = rng().integers(-margin, margin + 1, (2, shape[0]))
    mirrored = rng(1).random(shape[0]) < 0.5
    moved = shift_and_mirror(images, dy, dx, mirrored, margin=margin, colour=colour if coloured else None)
    expected = moved_one_by_one(images, dy, dx, mirrored, colour if coloured else torch.zeros_like(colour))
    assert torch.equal(moved, expected)
    assert moved.dtype == dtype


def test_no_change_is_the_identity():
    images = torch.rand(5, 3, 8, 8)
    assert not Augment().active
    assert torch.equal(Augment().apply(images, rng()), images)


def test_bytes_become_pixels():
    stored = torch.tensor([0, 51, 255], dtype=torch.uint8).view(1, 1, 1, 3)
    assert torch.equal(Augment().apply(stored, rng(), scale=255.0), stored.float() / 255)


def test_mirroring_twice_is_the_identity():
    images, still, always = torch.rand(4, 2, 5, 6), np.zeros(4, np.int64), np.ones(4, bool)
    once = shift_and_mirror(images, still, still, always, margin=0)
    assert torch.equal(once, images.flip(3))
    assert torch.equal(shift_and_mirror(once, still, still, always, margin=0), images)


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
    crop=st.integers(0, 4),
    flip=st.booleans(),
    rotate=st.floats(0, 180),
    scale=st.floats(0, 0.9),
    translate=st.floats(0, 1),
    coloured=st.booleans(),
    shape=st.sampled_from(SHAPES),
)
def test_pixels_stay_in_range_and_the_input_is_untouched(crop, flip, rotate, scale, translate, coloured, shape):
    augment = Augment(crop=crop, flip=flip, rotate=rotate, scale=scale, translate=translate)
    images = torch.rand(shape, generator=torch.Generator().manual_seed(0)).round(decimals=1)
    before, colour = images.clone(), torch.full(shape[1:2], 0.3)
    changed = augment.apply(images, rng(), colour=colour if coloured else None)
    assert changed.shape == images.shape
    assert torch.equal(images, before)
    assert float(changed.min()) >= 0.0
    assert float(changed.max()) <= 1.0


@given(augment=st.builds(Augment, crop=st.integers(0, 3), flip=st.booleans(), rotate=st.floats(0, 90)))
def test_an_image_of_the_fill_colour_stays_so(augment):
    colour = torch.tensor([0.2, 0.7])
    images = colour.view(1, 2, 1, 1).expand(3, 2, 6, 5)
    assert torch.allclose(augment.apply(images, rng(), colour=colour), images, atol=TOLERANCE)


def still(n):
    return {"angle": np.zeros(n), "factor": np.ones(n), "shift": np.zeros((2, n))}


@pytest.mark.parametrize("shape", SHAPES)
def test_warp_by_nothing_is_the_identity(shape):
    images = torch.rand(shape)
    assert torch.allclose(warp(images, **still(shape[0])), images, atol=TOLERANCE)


@pytest.mark.parametrize(("quarters", "sign"), [(1, -1), (2, -1), (3, -1)])
def test_quarter_turns_permute_the_pixels_of_a_square(quarters, sign):
    images = torch.rand(2, 3, 8, 8)
    turned = warp(images, **still(2) | {"angle": np.full(2, quarters * np.pi / 2)})
    # rot90 with a negative count turns clockwise on the screen.
    assert torch.allclose(turned, torch.rot90(images, sign * quarters, (2, 3)), atol=TOLERANCE)


def test_a_half_turn_works_on_oblong_images():
    images = torch.rand(2, 1, 6, 9)
    turned = warp(images, **still(2) | {"angle": np.full(2, np.pi)})
    assert torch.allclose(turned, images.flip((2, 3)), atol=TOLERANCE)


def test_translation_by_pixels_moves_right_and_down():
    images = torch.rand(1, 1, 4, 8)
    moved = warp(images, **still(1) | {"shift": np.array([[2 / 8], [1 / 4]])})
    expected = torch.zeros_like(images)
    expected[:, :, 1:, 2:] = images[:, :, :-1, :-2]
    assert torch.allclose(moved, expected, atol=TOLERANCE)


def test_a_turn_of_an_oblong_image_keeps_distances():
    # A dot right of the centre goes below it, at the same distance in pixels.
    image = torch.zeros(1, 1, 21, 41)
    image[0, 0, 10, 26] = 1.0
    turned = warp(image, **still(1) | {"angle": np.array([np.pi / 2])})
    assert turned[0, 0].argmax().item() == (10 + 6) * 41 + 20


def test_magnification_by_two_doubles_distances():
    image = torch.zeros(1, 1, 21, 21)
    image[0, 0, 10, 13] = 1.0
    larger = warp(image, **still(1) | {"factor": np.array([2.0])})
    assert larger[0, 0].argmax().item() == 10 * 21 + 16


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
    ],
)
def test_options_out_of_range_are_refused(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        Augment(**options)
