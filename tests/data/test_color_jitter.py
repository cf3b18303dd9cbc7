"""Jitter is one draw of each change for each image."""

import numpy as np
import pytest
import torch

from onelip.data import ColorJitter


def rng(seed=0):
    return np.random.default_rng(seed)


def test_brightness_factors_fill_their_range():
    images = torch.full((2000, 1, 1, 1), 0.5)
    factors = ColorJitter(brightness=0.4).apply(images, rng()).flatten() / 0.5
    assert 0.6 <= float(factors.min()) < 0.61
    assert 1.39 < float(factors.max()) <= 1.4 + 1e-6
    # Five standard deviations of the mean of 2000 uniform draws.
    assert abs(float(factors.mean()) - 1) < 5 * 0.8 / np.sqrt(12 * 2000)


def test_factors_are_not_negative():
    images = torch.full((2000, 1, 1, 1), 0.2)
    factors = ColorJitter(brightness=3.0).apply(images, rng()).flatten() / 0.2
    # One in ten is below a tenth of the range; five standard deviations of 2000 draws.
    assert abs(float((factors < 0.4).float().mean()) - 0.1) < 5 * np.sqrt(0.1 * 0.9 / 2000)
    assert float(factors.max()) > 3.9


def test_hues_turn_both_ways():
    red = torch.tensor([1.0, 0.0, 0.0]).view(1, 3, 1, 1).expand(1000, 3, 1, 1)
    turned = ColorJitter(hue=1 / 6).apply(red, rng())
    # Towards yellow the green rises, towards magenta the blue, up to one.
    green, blue = turned[:, 1].flatten(), turned[:, 2].flatten()
    assert torch.allclose(turned[:, 0], torch.ones(1))
    assert float((green * blue).max()) < 1e-6
    assert float(green.max()) > 0.98
    assert float(blue.max()) > 0.98


@pytest.mark.parametrize("name", ["brightness", "contrast", "saturation", "hue"])
def test_each_option_changes_something(name):
    images = torch.rand(4, 3, 5, 5, generator=torch.Generator().manual_seed(0))
    jitter = ColorJitter(**{name: 0.3})
    assert jitter.active
    assert not ColorJitter().active
    changed = jitter.apply(images, rng())
    assert all(not torch.equal(a, b) for a, b in zip(changed, images, strict=True))
    assert torch.equal(changed, jitter.apply(images, rng()))
    assert torch.equal(ColorJitter().apply(images, rng()), images)


@pytest.mark.parametrize("name", ["brightness", "contrast", "saturation", "hue"])
@pytest.mark.parametrize("value", [-0.1, 11.0, float("nan")])
def test_options_out_of_range_are_refused(name, value):
    with pytest.raises(ValueError, match=f"{name}={value} in ColorJitter must lie in"):
        ColorJitter(**{name: value})
