"""Colours changed, against Pillow and the standard library, one image at a time."""

import colorsys

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageEnhance, ImageOps

from onelip.data import colour

# Pillow rounds the grey image or the smoothed one to bytes, and cuts off what follows the point in the result.
ROUNDINGS = 1.5
FACTORS = (0.0, 0.1, 0.73, 1.0, 1.27, 1.9)


def pictures(channels=3, size=(20, 24)):
    """Noise, a gradient, a few levels, one colour, a picture of two levels."""
    rng = np.random.default_rng(0)
    height, width = size
    shape = (channels, height, width)
    ramp = np.linspace(40, 199, channels * height * width).reshape(shape)
    some = [
        rng.integers(0, 256, shape),
        ramp + rng.normal(0, 8, shape),
        rng.choice([3, 17, 90, 200], shape),
        np.full(shape, 77),
        np.where(ramp > 60, 255, 0),
        rng.integers(0, 6, shape),
    ]
    return torch.from_numpy(np.stack(some).clip(0, 255).astype(np.uint8))


def by_pillow(stored, change):
    changed = []
    for picture in stored.numpy():
        image = Image.fromarray(picture[0] if len(picture) == 1 else picture.transpose(1, 2, 0))
        out = np.array(change(image))
        changed.append(out[None] if out.ndim == 2 else out.transpose(2, 0, 1))
    return torch.from_numpy(np.stack(changed)).double()


def difference(ours, theirs):
    return float((255 * ours.double() - theirs).abs().max())


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("factor", FACTORS)
@pytest.mark.parametrize(
    ("change", "enhance"),
    [
        (colour.brightness, ImageEnhance.Brightness),
        (colour.contrast, ImageEnhance.Contrast),
        (colour.saturation, ImageEnhance.Color),
        (colour.sharpness, ImageEnhance.Sharpness),
    ],
)
def test_factors_change_colours_as_in_pillow(change, enhance, factor, channels):
    stored = pictures(channels)
    ours = change(stored / 255, torch.full((len(stored),), factor))
    assert difference(ours, by_pillow(stored, lambda image: enhance(image).enhance(factor))) < ROUNDINGS
    assert 0 <= float(ours.min()) <= float(ours.max()) <= 1


@pytest.mark.parametrize("change", [colour.brightness, colour.contrast, colour.saturation, colour.sharpness])
def test_each_image_has_its_own_factor(change):
    images, factors = pictures() / 255, torch.linspace(0.2, 1.8, 6)
    alone = [change(images[i : i + 1], factors[i : i + 1]) for i in range(6)]
    assert torch.equal(change(images, factors), torch.cat(alone))


@pytest.mark.parametrize("bits", range(1, 9))
@pytest.mark.parametrize("channels", [1, 3])
def test_posterize_is_that_of_pillow(bits, channels):
    stored = pictures(channels)
    ours = colour.posterize(stored / 255, bits)
    assert difference(ours, by_pillow(stored, lambda image: ImageOps.posterize(image, bits))) < 1e-3


@pytest.mark.parametrize("threshold", [0, 1, 85, 170, 178.5, 255, 256])
@pytest.mark.parametrize("channels", [1, 3])
def test_solarize_is_that_of_pillow(threshold, channels):
    stored = pictures(channels)
    ours = colour.solarize(stored / 255, threshold)
    assert difference(ours, by_pillow(stored, lambda image: ImageOps.solarize(image, threshold))) < 1e-3


@pytest.mark.parametrize("channels", [1, 3])
def test_autocontrast_is_that_of_pillow_to_a_rounding(channels):
    stored = pictures(channels)
    assert difference(colour.autocontrast(stored / 255), by_pillow(stored, ImageOps.autocontrast)) < 1.01


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [(20, 24), (32, 32), (5, 3), (90, 70)])
def test_equalize_is_that_of_pillow(channels, size):
    stored = pictures(channels, size)
    assert difference(colour.equalize(stored / 255), by_pillow(stored, ImageOps.equalize)) < 1e-3


@given(st.lists(st.integers(0, 255), min_size=3, max_size=3), st.floats(-0.5, 0.5))
def test_hue_turns_in_the_hsv_of_the_standard_library(rgb, turns):
    pixel = np.array(rgb) / 255
    h, s, v = colorsys.rgb_to_hsv(*pixel)
    expected = colorsys.hsv_to_rgb((h + turns) % 1, s, v)
    turned = colour.hue(torch.from_numpy(pixel).view(1, 3, 1, 1), torch.tensor([turns], dtype=torch.float64))
    assert np.allclose(turned.flatten().numpy(), expected, atol=1e-9)


def test_a_third_of_a_turn_passes_channels_on():
    images = torch.rand(4, 3, 5, 6, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(colour.hue(images, torch.full((4,), 1 / 3)), images.roll(1, dims=1), atol=1e-5)
    assert torch.equal(colour.hue(images[:, :1], torch.ones(4)), images[:, :1])


@pytest.mark.parametrize("shape", [(2, 3, 1, 9), (2, 1, 2, 2)])
def test_images_without_an_inside_are_not_sharpened(shape):
    images = torch.rand(shape)
    assert torch.equal(colour.sharpness(images, torch.full((2,), 0.5)), images)


def test_the_input_is_not_changed_and_not_returned():
    images = pictures() / 255
    before, factor = images.clone(), torch.full((len(images),), 0.5)
    for change in (colour.brightness, colour.contrast, colour.saturation, colour.sharpness, colour.hue):
        assert change(images, factor) is not images
    for change in (colour.autocontrast, colour.equalize):
        assert change(images) is not images
    colour.posterize(images, 3)
    colour.solarize(images, 100)
    assert torch.equal(images, before)


def test_other_channels_than_grey_or_rgb_are_refused():
    with pytest.raises(ValueError, match=r"2 channels in RandAugment; it must have 1 \(grey\) or 3 \(RGB\)"):
        colour.check_channels(torch.rand(1, 2, 4, 4), "RandAugment")
