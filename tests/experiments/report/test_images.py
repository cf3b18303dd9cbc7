"""Pictures inside the page."""

import base64
import io

import pytest
import torch
from PIL import Image

from onelip.experiments.report.images import data_uri


def decode(uri: str) -> Image.Image:
    kind, _, content = uri.partition(",")
    assert kind == "data:image/png;base64"
    return Image.open(io.BytesIO(base64.b64decode(content)))


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (2, "L"), (3, "RGB")])
def test_pixels_survive(channels, mode):
    image = (torch.arange(channels * 6).view(channels, 2, 3) * 8) / 255
    picture = decode(data_uri(image))
    assert (picture.mode, picture.size) == (mode, (3, 2))
    first = picture.getpixel((2, 0))
    expected = (image if channels != 2 else image.mean(0, keepdim=True))[:, 0, 2] * 255
    assert torch.allclose(torch.tensor(first).float().flatten(), expected.round())


def test_values_outside_of_the_box_and_nan_are_cut():
    picture = decode(data_uri(torch.tensor([[[-1.0, 2.0, float("nan")]]])))
    assert [picture.getpixel((k, 0)) for k in range(3)] == [0, 255, 0]


def test_long_sides_are_shortened_by_means():
    image = torch.zeros(1, 4, 8)
    image[:, :2, :4] = 1.0
    picture = decode(data_uri(image, most=4))
    assert picture.size == (4, 2)
    assert [picture.getpixel((k, 0)) for k in range(4)] == [255, 255, 0, 0]
    assert decode(data_uri(image, most=8)).size == (8, 4)
