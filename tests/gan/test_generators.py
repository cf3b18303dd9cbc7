"""Sizes, published shapes and ranges of generators."""

import pytest
import torch
from torch import nn

from onelip.gan import build_generator


def on_meta(name, shape, **options):
    with torch.device("meta"):
        return build_generator(name, image_shape=shape, **options)


@pytest.mark.parametrize("side", [8, 28, 32, 64, 96])
@pytest.mark.parametrize("name", ["infogan", "dcgan"])
def test_images_have_the_size_that_was_asked_for(name, side):
    generator = on_meta(name, (3, side, side), width=2)
    assert generator(torch.rand(2, 62, device="meta")).shape == (2, 3, side, side)


@pytest.mark.parametrize("name", ["infogan", "dcgan"])
def test_pixels_are_in_0_1(name):
    torch.manual_seed(0)
    generator = build_generator(name, image_shape=(1, 8, 12), n_latent=5, width=4)
    with torch.no_grad():
        generator.get_submodule("image").weight.mul_(30)
        x = generator(torch.rand(64, 5))
    assert float(x.min()) >= 0
    assert float(x.max()) <= 1
    assert float(x.max() - x.min()) > 0.9


def test_the_published_infogan_has_its_shapes():
    generator = on_meta("infogan", (1, 28, 28))
    dense = [(m.in_features, m.out_features) for m in generator if isinstance(m, nn.Linear)]
    up = [(m.in_channels, m.out_channels) for m in generator if isinstance(m, nn.ConvTranspose2d)]
    assert dense == [(62, 1024), (1024, 128 * 7 * 7)]
    assert up == [(128, 64), (64, 1)]
    # Of the published one, without biases before normalisations, which do nothing there.
    published = 62 * 1024 + 2 * 1024 + 1024 * 6272 + 2 * 6272 + 128 * 64 * 16 + 2 * 64 + 64 * 16 + 1
    assert sum(p.numel() for p in generator.parameters()) == published


@pytest.mark.parametrize(
    ("side", "start", "channels"), [(8, 4, [64]), (28, 7, [128, 64]), (64, 4, [512, 256, 128, 64])]
)
def test_dcgan_doubles_from_the_smallest_start(side, start, channels):
    generator = on_meta("dcgan", (3, side, side))
    assert generator.get_submodule("shape").unflattened_size == (channels[0], start, start)
    assert [m.in_channels for m in generator if isinstance(m, nn.ConvTranspose2d)] == channels


@pytest.mark.parametrize(
    ("name", "shape", "options", "sentence"),
    [
        (
            "infogan",
            (1, 6, 8),
            {},
            r"image_shape=\(1, 6, 8\) of generator 'infogan' must have sides that are multiples of 4",
        ),
        (
            "dcgan",
            (1, 6, 6),
            {},
            r"image_shape=\(1, 6, 6\) of generator 'dcgan' cannot be halved; .* at least 8 \(start=4\)",
        ),
        ("dcgan", (1, 9, 8), {"start": 2}, "cannot be halved"),
    ],
)
def test_sizes_that_cannot_be_reached_are_refused(name, shape, options, sentence):
    with pytest.raises(ValueError, match=sentence):
        build_generator(name, image_shape=shape, **options)
