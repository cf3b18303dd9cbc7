"""The drawings of a profile."""

import pytest
import torch
from PIL import Image
from torch import nn

from onelip.pictures import depth_profile
from onelip.pictures.colours import ATTACK


@pytest.mark.parametrize("factor", [1.0, 1e-3])
def test_a_profile_is_drawn_and_what_vanished_is_marked(tmp_path, factor):
    images = torch.rand(20, 6, generator=torch.Generator().manual_seed(0))
    model = nn.Sequential(nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 6))
    with torch.no_grad():
        for layer in (model[0], model[2]):
            layer.weight.copy_(factor * torch.eye(6))
            layer.bias.zero_()
    profile = depth_profile(model, images)
    counts = {}
    for name, plot in (("depth", profile.plot), ("activity", profile.plot_activity)):
        plot(tmp_path / f"{name}.png")
        with Image.open(tmp_path / f"{name}.png") as picture:
            assert picture.size == (1280, 840)
            colours = {colour: n for n, colour in picture.convert("RGB").getcolors(1 << 24)}
            counts[name] = colours.get(tuple(bytes.fromhex(ATTACK[1:])), 0)
    # The crosses beside the line of the limit.
    assert (counts["depth"] > 1500) == (factor < 1)
