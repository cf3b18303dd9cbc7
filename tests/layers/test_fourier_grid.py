"""Circles: sizes, what is put around an image and what is cut off, against counting by hand."""

from __future__ import annotations

import pytest
import torch

from onelip.layers.conv_arguments import conv_arguments
from onelip.layers.fourier_grid import FourierGrid, covers, fourier_grid, origin_of


def test_circular_padding_needs_neither_border_nor_crop() -> None:
    arguments = conv_arguments("Owner", 1, 1, (4, 3), (2, 1), (1, 1), padding_mode="circular")
    assert fourier_grid(arguments, 6, 5) == FourierGrid((0, 0, 0, 0), (2, 1), (3, 5), (0, 0, 0, 0))
    assert origin_of(arguments) == (1, 1)
    assert covers(arguments)


def test_zeros_are_put_around_and_the_middle_is_kept() -> None:
    arguments = conv_arguments("Owner", 1, 1, 3, 1, 1)
    # 5 x 4 becomes 7 x 6; outputs are centred on the pixels of the image.
    assert fourier_grid(arguments, 5, 4) == FourierGrid((1, 1, 1, 1), (1, 1), (7, 6), (-1, -1, -1, -1))
    assert origin_of(arguments) == (1, 1)
    assert not covers(arguments)


def test_images_are_filled_up_to_whole_blocks() -> None:
    arguments = conv_arguments("Owner", 1, 1, 2, 2)
    grid = fourier_grid(arguments, 5, 4)
    assert grid == FourierGrid((0, 0, 0, 1), (2, 2), (3, 2), (0, 0, 0, -1))
    x = torch.randn(2, 1, 5, 4)
    assert grid.enter(x).shape == (2, 4, 3, 2)
    assert grid.leave(torch.zeros(2, 3, 3, 2)).shape == (2, 3, 2, 2)
    core = torch.nn.Identity()
    torch.testing.assert_close(grid.around(core)(x), grid.leave(grid.enter(x)))


def test_image_that_leaves_no_output() -> None:
    with pytest.raises(ValueError, match="image height 2 is too small for Owner"):
        fourier_grid(conv_arguments("Owner", 1, 1, 3), 2, 9)
