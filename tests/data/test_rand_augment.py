"""Each operation against Pillow, and the draws against what they promise."""

import math

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance, ImageOps

from onelip.data import RandAugment
from onelip.data.rand_augment import OPERATIONS, operate_

HEIGHT, WIDTH = 24, 32
AFFINE = Image.Transform.AFFINE
ENHANCE = {
    "Brightness": ImageEnhance.Brightness,
    "Color": ImageEnhance.Color,
    "Contrast": ImageEnhance.Contrast,
    "Sharpness": ImageEnhance.Sharpness,
}
MOVES = ("ShearX", "ShearY", "TranslateX", "TranslateY", "Rotate")


def rng(seed=0):
    return np.random.default_rng(seed)


def pictures(n=4, channels=3):
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    waves = [[np.sin(0.2 * (k + 1) * x + 0.3 * (c + 1) * y + k) for c in range(channels)] for k in range(n)]
    noise = rng().normal(0, 0.1, (n, channels, HEIGHT, WIDTH))
    return torch.from_numpy((127 + 100 * (np.array(waves) + noise)).clip(0, 255).astype(np.uint8))


def by_pillow(image, name, sign, strength):
    """The operation as torchvision defines it on Pillow's images."""
    size, s = image.size, sign * strength
    moves = {
        "ShearX": (1, 0.3 * s, 0, 0, 1, 0),
        "ShearY": (1, 0, 0, 0.3 * s, 1, 0),
        "TranslateX": (1, 0, -int(150 / 331 * WIDTH * s), 0, 1, 0),
        "TranslateY": (1, 0, 0, 0, 1, -int(150 / 331 * HEIGHT * s)),
    }
    if name in moves:
        return image.transform(size, AFFINE, moves[name])
    if name == "Rotate":
        return image.rotate(30 * s)
    if name in ENHANCE:
        return ENHANCE[name](image).enhance(1 + 0.9 * s)
    return {
        "Identity": lambda: image,
        "Posterize": lambda: ImageOps.posterize(image, 8 - round(4 * strength)),
        "Solarize": lambda: ImageOps.solarize(image, 255 * (1 - strength)),
        "AutoContrast": lambda: ImageOps.autocontrast(image),
        "Equalize": lambda: ImageOps.equalize(image),
    }[name]()


@pytest.mark.parametrize("strength", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("channels", [1, 3])
def test_operations_are_those_of_pillow(name, strength, channels):
    stored, sign = pictures(channels=channels), np.array([1, -1, 1, -1])
    ours = stored / 255
    operate_(ours, np.full(4, OPERATIONS.index(name)), sign, strength)
    for k in range(4):
        picture = stored[k].numpy()
        image = Image.fromarray(picture[0] if channels == 1 else picture.transpose(1, 2, 0))
        theirs = np.array(by_pillow(image, name, int(sign[k]), strength))
        theirs = theirs[None] if channels == 1 else theirs.transpose(2, 0, 1)
        difference = np.abs(255 * ours[k].numpy() - theirs)
        if name in MOVES:
            # Points on the edge of a pixel go to either side: Pillow rounds coefficients to 2^-16.
            assert (difference > 0.01).mean() < 0.02
        else:
            # Pillow rounds an image in between, and cuts off what follows the point.
            assert difference.max() < 1.5


def test_operations_are_fourteen():
    assert len(OPERATIONS) == len(set(OPERATIONS)) == 14


def test_each_image_undergoes_its_own_operation():
    images, operation = pictures(2 * len(OPERATIONS)) / 255, np.arange(2 * len(OPERATIONS)) % len(OPERATIONS)
    sign, colour = np.repeat([1, -1], len(OPERATIONS)), torch.tensor([0.2, 0.5, 0.9])
    together = images.clone()
    operate_(together, operation, sign, 0.6, colour=colour)
    for k in range(len(images)):
        alone = images[k : k + 1].clone()
        operate_(alone, operation[k : k + 1], sign[k : k + 1], 0.6, colour=colour)
        assert torch.equal(alone[0], together[k])
        assert torch.equal(alone[0], images[k]) == (OPERATIONS[operation[k]] == "Identity")


def test_uncovered_pixels_take_the_colour():
    images, colour = torch.full((1, 3, HEIGHT, WIDTH), 0.5), torch.tensor([0.2, 0.3, 0.9])
    operate_(images, np.array([OPERATIONS.index("TranslateX")]), np.array([1]), 0.3, colour=colour)
    distance = math.floor(150 / 331 * WIDTH * 0.3)
    assert torch.equal(images[0, :, 0, :distance], colour[:, None].expand(3, distance))
    assert bool((images[0, :, :, distance:] == 0.5).all())


def test_the_share_that_changes_is_the_probability():
    images = pictures(1).expand(1000, -1, -1, -1)[:, :, :8, :8] / 255
    changed = RandAugment(num_ops=1, magnitude=30, probability=0.4).apply(images, rng())
    share = float((changed != images).flatten(1).any(1).float().mean())
    # One operation of fourteen is the identity; five standard deviations of 1000 draws.
    expected = 0.4 * 13 / 14
    assert abs(share - expected) < 5 * math.sqrt(expected * (1 - expected) / 1000)


def test_operations_and_signs_are_drawn_uniformly():
    n = 3000
    images = torch.zeros(n, 1, 3, 32)
    images[:, :, :, 16] = 1.0
    moved = RandAugment(num_ops=1, magnitude=30).apply(images, rng())
    distance = math.floor(150 / 331 * 32)
    for column in (16 - distance, 16 + distance):
        shifted = int(((moved[:, 0, 1, column] == 1) & (moved.sum(dim=(1, 2, 3)) == 3)).sum())
        # One operation of fourteen, one sign of two.
        assert abs(shifted - n / 28) < 5 * math.sqrt(n / 28)


def test_two_operations_follow_each_other():
    images = pictures(50) / 255
    twice = RandAugment(num_ops=2, probability=1.0).apply(images, rng(3))
    draws, expected = rng(3), images.clone()
    draws.random(50)
    for _ in range(2):
        operation, sign = draws.integers(14, size=50), 2 * draws.integers(2, size=50) - 1
        operate_(expected, operation, sign, 0.3)
    assert torch.equal(twice, expected)
    assert 0 <= float(twice.min()) <= float(twice.max()) <= 1


def test_strength_is_the_magnitude_as_a_part_of_the_largest():
    assert RandAugment().strength == pytest.approx(0.3)
    assert RandAugment(magnitude=10, num_magnitude_bins=11).strength == 1.0


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"num_ops": 0}, "num_ops=0 in RandAugment must be an integer >= 1"),
        ({"num_ops": 1.0}, "num_ops=1.0"),
        ({"magnitude": -1}, "magnitude=-1"),
        ({"magnitude": 31}, "magnitude=31 in RandAugment must be below num_magnitude_bins=31"),
        ({"num_magnitude_bins": 1, "magnitude": 0}, "num_magnitude_bins=1"),
        ({"probability": 0.0}, r"probability=0.0 in RandAugment must lie in \(0, 1\]"),
        ({"probability": 1.5}, "probability=1.5"),
    ],
)
def test_options_out_of_range_are_refused(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        RandAugment(**options)


def test_other_channels_are_refused():
    with pytest.raises(ValueError, match="2 channels in RandAugment"):
        RandAugment().apply(torch.rand(1, 2, 4, 4), rng())
