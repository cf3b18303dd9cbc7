"""How numbers become pixels."""

from itertools import pairwise

import pytest
import torch

from onelip.pictures.colours import difference_picture, diverging_map, line_style, pixel_array, signed_picture


def test_one_channel_is_orange_white_and_blue_on_one_scale():
    picture = signed_picture(torch.tensor([[[-2.0, -0.5, 0.0, 1.0]]]), 1.0)
    orange, half, white, blue = (picture[:, 0, k] * 255 for k in range(4))
    assert orange.tolist() == pytest.approx([0xB3, 0x50, 0x0C])
    assert white.tolist() == pytest.approx([0xF7, 0xF7, 0xF7])
    assert blue.tolist() == pytest.approx([0x1C, 0x5F, 0xB8])
    assert half.tolist() == pytest.approx(((orange + white) / 2).tolist())


def test_maps_have_the_same_colours():
    for value, place in ((-1.0, 0.0), (0.0, 0.5), (1.0, 1.0)):
        picture = signed_picture(torch.full((1, 1, 1), value), 1.0)
        assert diverging_map()(place)[:3] == pytest.approx(picture.flatten().tolist(), abs=0.01)


def test_three_channels_are_each_around_grey():
    picture = signed_picture(torch.tensor([1.0, -1.0, 0.0]).view(3, 1, 1), 2.0)
    assert picture.flatten().tolist() == [0.75, 0.25, 0.5]


@pytest.mark.parametrize("scale", [0.0, float("nan"), float("inf")])
def test_a_scale_that_is_none_is_refused(scale):
    with pytest.raises(ValueError, match="in signed_picture must be positive and finite"):
        signed_picture(torch.zeros(1, 1, 1), scale)


def test_pixels_are_bytes():
    assert pixel_array(torch.tensor([[[0.0, 1.0, 2.0]]])).flatten().tolist() == [0, 255, 255]
    assert pixel_array(torch.zeros(2, 4, 5)).shape == (4, 5, 1)
    assert pixel_array(torch.zeros(3, 4, 5)).shape == (4, 5, 3)


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


def test_thirty_lines_are_told_apart_by_more_than_colour():
    styles = [line_style(k) for k in range(30)]
    assert len({(colour, str(dash)) for colour, dash, _ in styles}) == 30
    for (_, dash, marker), (_, next_dash, next_marker) in pairwise(styles[:6]):
        assert (str(dash), marker) != (str(next_dash), next_marker)
