"""Pictures inside the page."""

import base64
import io

import pytest
import torch
from PIL import Image

from onelip.experiments.report.images import data_uri, difference_picture


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


def test_a_difference_fills_the_range_around_grey():
    before = torch.tensor([[[0.5, 0.5, 0.5]]])
    picture, gain = difference_picture(before, before + torch.tensor([0.1, -0.05, 0.0]))
    assert gain == pytest.approx(5.0)
    assert torch.allclose(picture, torch.tensor([[[1.0, 0.25, 0.5]]]))


def test_equal_images_differ_by_grey():
    picture, gain = difference_picture(torch.rand(1, 2, 2), torch.rand(1, 2, 2) * 0)
    assert float((picture - 0.5).abs().max()) == pytest.approx(0.5)
    same = torch.rand(1, 2, 2)
    picture, gain = difference_picture(same, same)
    assert gain == 1.0
    assert bool((picture == 0.5).all())
