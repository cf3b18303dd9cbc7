"""Grids of images and animations of them."""

import numpy as np
import pytest
import torch
from PIL import Image

from onelip.pictures import read_picture, sample_grid, save_animation, save_picture


def test_images_are_enlarged_without_smoothing_in_rows_with_gaps():
    images = torch.tensor([0.0, 1.0, 0.5]).view(3, 1, 1, 1).repeat(1, 1, 2, 2)
    images[1, 0, 0, 1] = 0.0
    grid = sample_grid(images, 2, side=6)
    # Enlarged three times, with gaps of one pixel.
    assert grid.shape == (2 * 7 + 1, 2 * 7 + 1, 3)
    assert (grid[1:7, 1:7] == 0).all()
    assert (grid[1:4, 8:11] == 255).all()
    assert (grid[1:4, 11:14] == 0).all()
    assert (grid[8:14, 1:7] == 128).all()
    gap = grid[0, 0]
    assert (grid[:, 7] == gap).all()
    assert (grid[8:14, 8:14] == gap).all()
    assert len(set(gap.tolist())) > 1, "the gaps are not grey"


def test_colours_and_large_images_keep_their_size():
    image = torch.zeros(1, 3, 64, 60)
    image[0, 0] = 1.0
    grid = sample_grid(image)
    assert grid.shape == (66, 62, 3)
    assert grid[1:65, 1:61].reshape(-1, 3).tolist() == [[255, 0, 0]] * (64 * 60)


@pytest.mark.parametrize(("n", "columns"), [(0, 3), (3, 0)])
def test_nothing_to_lay_out_is_refused(n, columns):
    with pytest.raises(ValueError, match=f"{n} images in columns={columns} of sample_grid"):
        sample_grid(torch.zeros(n, 1, 2, 2), columns)


def test_pictures_come_back_and_move(tmp_path):
    frames = [sample_grid(torch.full((2, 1, 4, 4), level)) for level in (0.0, 0.5, 1.0)]
    save_picture(frames[1], tmp_path / "a.png")
    assert np.array_equal(read_picture(tmp_path / "a.png"), frames[1])
    save_animation(frames, tmp_path / "a.gif", milliseconds=100)
    with Image.open(tmp_path / "a.gif") as animation:
        assert animation.n_frames == 3
        assert animation.info["duration"] == 100
        levels = []
        for k in range(3):
            animation.seek(k)
            levels.append(animation.convert("L").getpixel((10, 10)))
        assert animation.info["duration"] == 1000
    assert levels == [0, 128, 255]
    with pytest.raises(ValueError, match="no picture"):
        save_animation([], tmp_path / "b.gif")
