from fractions import Fraction

import pytest
import torch
import torch.nn.functional as F

from onelip.bounds.resizing import keys, resize_matrix


def torch_matrix(size, outputs, kernel, **options):
    """What torch does to each pixel of a line, on images of height 1."""
    # Not width 1: torch 2.13 mistakes the layout of one antialiased channel of width 1.
    line = torch.eye(size, dtype=torch.float64)[:, None, None, :]
    mode = "bilinear" if kernel == "linear" else "bicubic"
    return F.interpolate(line, (1, outputs), mode=mode, **options)[:, 0, 0].T


@pytest.mark.parametrize("kernel", ["linear", "cubic"])
@pytest.mark.parametrize("corners", [False, True])
def test_every_small_size_is_as_in_torch(kernel, corners):
    for size in range(1, 9):
        for outputs in range(1, 12):
            ours = resize_matrix(size, outputs, kernel, corners)
            theirs = torch_matrix(size, outputs, kernel, align_corners=corners)
            torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)


@pytest.mark.parametrize("kernel", ["linear", "cubic"])
def test_antialiased_sizes_are_as_in_torch(kernel):
    for size in range(2, 12):
        for outputs in range(1, 9):
            ours = resize_matrix(size, outputs, kernel, False, antialias=True)
            theirs = torch_matrix(size, outputs, kernel, antialias=True)
            torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)


def test_rows_sum_to_one_and_the_kernel_interpolates():
    for kernel in ("linear", "cubic"):
        for scale in (None, 1.7):
            sums = resize_matrix(7, 11, kernel, False, scale).sum(1)
            torch.testing.assert_close(sums, torch.ones(11, dtype=torch.float64), rtol=0, atol=1e-15)
    assert [keys(Fraction(t), Fraction(-3, 4)) for t in (-2, -1, 0, 1, 2)] == [0, 0, 1, 0, 0]
    assert torch.equal(resize_matrix(4, 4, "cubic", False), torch.eye(4, dtype=torch.float64))


def test_by_hand():
    expected = torch.tensor([[1, 0], [0.75, 0.25], [0.25, 0.75], [0, 1]], dtype=torch.float64)
    assert torch.equal(resize_matrix(2, 4, "linear", False), expected)
