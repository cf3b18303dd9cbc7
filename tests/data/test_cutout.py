"""Squares painted over, against a transcription."""

import numpy as np
import pytest
import torch

from onelip.data.cutout import cutout


def painted_one_by_one(images, rows, columns, side, colour):
    out = images.clone()
    for n in range(len(images)):
        top, left = rows[n] - side // 2, columns[n] - side // 2
        out[n, :, max(top, 0) : max(top + side, 0), max(left, 0) : max(left + side, 0)] = colour.view(-1, 1, 1)
    return out


@pytest.mark.parametrize("side", [1, 2, 3, 5, 40])
@pytest.mark.parametrize("coloured", [True, False])
def test_a_square_is_painted_over_and_cut_off_at_the_border(side, coloured):
    images = torch.rand(30, 3, 7, 10) / 2 + 0.5
    colour = torch.tensor([0.1, 0.2, 0.3])
    rng = np.random.default_rng(0)
    rows, columns = rng.integers(7, size=30), rng.integers(10, size=30)
    before = images.clone()
    out = cutout(images, rows, columns, side, colour=colour if coloured else None)
    assert torch.equal(
        out, painted_one_by_one(images, rows, columns, side, colour if coloured else torch.zeros_like(colour))
    )
    assert torch.equal(images, before)
