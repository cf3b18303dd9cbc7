"""Images beside those that are taken for something else."""

import math

import pytest
import torch
from PIL import Image

from onelip.pictures import AdversarialImages


@pytest.mark.parametrize("channels", [1, 3])
def test_triples_are_drawn(tmp_path, channels):
    x = torch.rand(4, channels, 5, 5, generator=torch.Generator().manual_seed(0))
    images = AdversarialImages(
        x, 1 - x, ("cat",) * 4, ("dog",) * 4, (0.5, 1.5, 2.0, math.inf), (0.25, 0.5, 0.75, 1.0)
    )  # fmt: skip
    images.plot(tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.size == (round(200 * (0.3 + 3 * 3.42 - 0.3)), round(200 * (0.15 + 2 * 1.5)))
        # Where nothing was found only the image is drawn.
        assert picture.convert("RGB").getpixel((round(200 * 1.7), round(200 * 2.2))) == (255, 255, 255)


def test_none_are_refused(tmp_path):
    with pytest.raises(ValueError, match="has none to draw"):
        AdversarialImages(torch.zeros(0, 1, 2, 2), torch.zeros(0, 1, 2, 2), (), (), ()).plot(tmp_path / "a.png")
