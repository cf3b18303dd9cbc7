"""Boxes stretched, against torch's resizing of one box at a time."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from onelip.data import ResizedCrop
from onelip.data.resized_crop import crop_and_resize

# Weights are rounded to float32, and sums of at most a few dozen of them.
TOLERANCE = 1e-5


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.mark.parametrize("size", [None, (9, 9), (4, 30), (25, 3)])
def test_boxes_are_stretched_as_torch_does_antialiased(size):
    images = torch.rand(40, 3, 14, 18, generator=torch.Generator().manual_seed(0))
    boxes = ResizedCrop().boxes(40, 14, 18, rng())
    stretched = crop_and_resize(images, boxes, size)
    for n, (top, left, height, width) in enumerate(boxes.T):
        box = images[n : n + 1, :, top : top + height, left : left + width]
        expected = functional.interpolate(box, size or (14, 18), mode="bilinear", antialias=True)
        assert torch.allclose(stretched[n : n + 1], expected, atol=TOLERANCE)


def test_the_whole_image_stays_as_it_is():
    images = torch.rand(3, 2, 6, 5)
    boxes = np.array([[0] * 3, [0] * 3, [6] * 3, [5] * 3])
    assert torch.equal(crop_and_resize(images, boxes), images)
    assert torch.allclose(
        ResizedCrop(scale=(1.0, 1.0), ratio=(1.0, 1.0)).apply(images[:, :, :5], rng()), images[:, :, :5]
    )


@given(
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    scale=st.tuples(st.floats(0.01, 1), st.floats(0.01, 1)).map(sorted).map(tuple),
    ratio=st.tuples(st.floats(0.2, 5), st.floats(0.2, 5)).map(sorted).map(tuple),
    seed=st.integers(0, 100),
)
def test_boxes_lie_in_the_image(height, width, scale, ratio, seed):
    top, left, tall, wide = ResizedCrop(scale, ratio).boxes(8, height, width, rng(seed))
    assert (top >= 0).all()
    assert (left >= 0).all()
    assert (tall >= 1).all()
    assert (wide >= 1).all()
    assert (top + tall <= height).all()
    assert (left + wide <= width).all()


def test_areas_and_proportions_are_those_asked_for():
    crop = ResizedCrop(scale=(0.1, 0.4), ratio=(0.5, 2.0))
    top, left, tall, wide = crop.boxes(4000, 100, 100, rng())
    # Sides of 20 pixels or more, rounded to whole ones: at most 5 %.
    assert 0.095 < (tall * wide).min() / 1e4 < 0.11
    assert 0.38 < (tall * wide).max() / 1e4 < 0.42
    # The mean of a uniform area, and of a logarithm uniform about 0; five standard deviations of 4000 draws.
    assert abs((tall * wide).mean() / 1e4 - 0.25) < 5 * 0.3 / np.sqrt(12 * 4000) + 0.002
    assert abs(np.log(wide / tall).mean()) < 5 * np.log(4) / np.sqrt(12 * 4000)
    assert abs((top / (100 - tall)).mean() - 0.5) < 5 / np.sqrt(12 * 4000)
    assert abs((left / (100 - wide)).mean() - 0.5) < 5 / np.sqrt(12 * 4000)
    assert top.min() == left.min() == 0


def test_every_place_is_reached():
    # Squares of six pixels in a picture of 7 x 8.
    top, left, tall, wide = ResizedCrop(scale=(36 / 56, 36 / 56), ratio=(1.0, 1.0)).boxes(300, 7, 8, rng())
    assert set(tall) == set(wide) == {6}
    assert set(top) == {0, 1}
    assert set(left) == {0, 1, 2}


@pytest.mark.parametrize(
    ("size", "box"), [((10, 100), (0, 43, 10, 13)), ((100, 10), (43, 0, 13, 10)), ((20, 20), (0, 0, 20, 20))]
)
def test_where_no_box_fits_the_largest_central_one_is_taken(size, box):
    # Wider than the image, and taller: an area of one image in a ratio of its own.
    ratio = (3 / 4, 4 / 3) if size[0] != size[1] else (0.99, 1.01)
    crop = ResizedCrop(scale=(1.0, 1.0), ratio=ratio)
    boxes = crop.boxes(5, *size, rng())
    assert (box == boxes.T).all()


@pytest.mark.parametrize(
    "options",
    [
        {"scale": (0.0, 1.0)},
        {"scale": (0.5, 0.4)},
        {"scale": (0.5, 1.1)},
        {"scale": (0.5,)},
        {"ratio": (-1.0, 1.0)},
        {"ratio": (2.0, 1.0)},
        {"ratio": (1.0, float("inf"))},
        {"ratio": (float("nan"), 1.0)},
    ],
)
def test_options_out_of_range_are_refused(options):
    (name,) = options
    with pytest.raises(ValueError, match=rf"{name}=.* in ResizedCrop must be two numbers"):
        ResizedCrop(**options)
