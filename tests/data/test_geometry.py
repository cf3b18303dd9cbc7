"""Images moved, against transcriptions that move one at a time."""

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import ndimage

from onelip.data.geometry import choose, move_to_nearest, shift_and_mirror, warp

# Bilinear weights are computed in float32 from coordinates of size about 1.
TOLERANCE = 1e-5
SHAPES = [(5, 1, 8, 8), (4, 3, 7, 10), (3, 2, 1, 6)]


def rng(seed=0):
    return np.random.default_rng(seed)


def moved_one_by_one(images, dy, dx, mirrored, colour):
    out = colour.view(1, -1, 1, 1).expand_as(images).clone()
    height, width = images.shape[2:]
    for n in range(len(images)):
        for i in range(height):
            for j in range(width):
                y, x = i + dy[n], (width - 1 - j if mirrored[n] else j) + dx[n]
                if 0 <= y < height and 0 <= x < width:
                    out[n, :, i, j] = images[n, :, y, x]
    return out


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("coloured", [True, False])
def test_shift_and_mirror_move_whole_pixels(shape, coloured, dtype):
    images = torch.randint(1, 255, shape).to(dtype)
    colour = torch.randint(1, 255, shape[1:2]).to(dtype)
    margin = 3
    dy, dx = rng().integers(-margin, margin + 1, (2, shape[0]))
    mirrored = rng(1).random(shape[0]) < 0.5
    moved = shift_and_mirror(images, dy, dx, mirrored, margin=margin, colour=colour if coloured else None)
    expected = moved_one_by_one(images, dy, dx, mirrored, colour if coloured else torch.zeros_like(colour))
    assert torch.equal(moved, expected)
    assert moved.dtype == dtype


def test_mirroring_twice_is_the_identity():
    images, still, always = torch.rand(4, 2, 5, 6), np.zeros(4, np.int64), np.ones(4, bool)
    once = shift_and_mirror(images, still, still, always, margin=0)
    assert torch.equal(once, images.flip(3))
    assert torch.equal(shift_and_mirror(once, still, still, always, margin=0), images)


def still(n):
    return {"angle": np.zeros(n), "factor": np.ones(n), "shift": np.zeros((2, n))}


@pytest.mark.parametrize("shape", SHAPES)
def test_warp_by_nothing_is_the_identity(shape):
    images = torch.rand(shape)
    assert torch.allclose(warp(images, **still(shape[0])), images, atol=TOLERANCE)


@pytest.mark.parametrize(("quarters", "sign"), [(1, -1), (2, -1), (3, -1)])
def test_quarter_turns_permute_the_pixels_of_a_square(quarters, sign):
    images = torch.rand(2, 3, 8, 8)
    turned = warp(images, **still(2) | {"angle": np.full(2, quarters * np.pi / 2)})
    # rot90 with a negative count turns clockwise on the screen.
    assert torch.allclose(turned, torch.rot90(images, sign * quarters, (2, 3)), atol=TOLERANCE)


def test_a_half_turn_works_on_oblong_images():
    images = torch.rand(2, 1, 6, 9)
    turned = warp(images, **still(2) | {"angle": np.full(2, np.pi)})
    assert torch.allclose(turned, images.flip((2, 3)), atol=TOLERANCE)


def test_translation_by_pixels_moves_right_and_down():
    images = torch.rand(1, 1, 4, 8)
    moved = warp(images, **still(1) | {"shift": np.array([[2 / 8], [1 / 4]])})
    expected = torch.zeros_like(images)
    expected[:, :, 1:, 2:] = images[:, :, :-1, :-2]
    assert torch.allclose(moved, expected, atol=TOLERANCE)


def test_a_turn_of_an_oblong_image_keeps_distances():
    # A dot right of the centre goes below it, at the same distance in pixels.
    image = torch.zeros(1, 1, 21, 41)
    image[0, 0, 10, 26] = 1.0
    turned = warp(image, **still(1) | {"angle": np.array([np.pi / 2])})
    assert turned[0, 0].argmax().item() == (10 + 6) * 41 + 20


def test_magnification_by_two_doubles_distances():
    image = torch.zeros(1, 1, 21, 21)
    image[0, 0, 10, 13] = 1.0
    larger = warp(image, **still(1) | {"factor": np.array([2.0])})
    assert larger[0, 0].argmax().item() == 10 * 21 + 16


def affine(n):
    return np.tile(np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]), (n, 1, 1))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("coloured", [True, False])
def test_an_affine_map_by_whole_pixels_is_a_shift(shape, coloured, dtype):
    images, colour = torch.randint(1, 255, shape).to(dtype), torch.randint(1, 255, shape[1:2]).to(dtype)
    dy, dx = rng().integers(-3, 4, (2, shape[0]))
    maps = affine(shape[0])
    maps[:, 0, 2], maps[:, 1, 2] = dx, dy
    moved = move_to_nearest(images, maps, colour=colour if coloured else None)
    still = np.zeros(shape[0], bool)
    assert torch.equal(moved, moved_one_by_one(images, dy, dx, still, colour if coloured else torch.zeros_like(colour)))
    assert moved.dtype == dtype


def test_an_affine_map_takes_the_nearest_pixel_as_scipy_and_pillow_do():
    n, height, width = 12, 11, 14
    images = torch.randint(1, 256, (n, 1, height, width)).to(torch.uint8)
    maps = affine(n) + 0.3 * rng().standard_normal((n, 2, 3)) * np.array([1, 1, 4])
    moved = move_to_nearest(images.float(), maps)[:, 0].numpy()
    x, y = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    for k in range(n):
        points = np.einsum("ij,jyx->iyx", maps[k], np.stack([x, y, np.ones_like(x)]))
        # Pillow counts in steps of 2^-16, and here it is float32: points on the edge of a pixel go either way.
        clear = (np.abs(points - np.rint(points)) > 1e-3).all(axis=0)
        assert clear.mean() > 0.95
        inverse = maps[k][::-1][:, [1, 0, 2]]
        offset = inverse[:, :2] @ [0.5, 0.5] + inverse[:, 2] - 0.5
        by_scipy = ndimage.affine_transform(
            images[k, 0].numpy(), inverse[:, :2], offset, order=0, mode="grid-constant", cval=0
        )
        picture = Image.fromarray(images[k, 0].numpy())
        by_pillow = np.array(picture.transform((width, height), Image.Transform.AFFINE, maps[k].flatten().tolist()))
        assert (moved[k] == by_scipy)[clear].all()
        assert (moved[k] == by_pillow)[clear].all()


def test_a_quarter_turn_to_the_nearest_pixel_permutes_pixels():
    images = torch.rand(2, 3, 8, 8)
    maps = np.tile(np.array([[0.0, -1.0, 8.0], [1.0, 0.0, 0.0]]), (2, 1, 1))
    assert torch.equal(move_to_nearest(images, maps), torch.rot90(images, 1, (2, 3)))


def test_choosing_is_exact():
    images, others, mask = torch.rand(5, 3, 4, 4), torch.rand(3, 1, 1), torch.rand(5, 1, 4, 4) < 0.5
    assert torch.equal(choose(mask, images, others), torch.where(mask, images, others))
