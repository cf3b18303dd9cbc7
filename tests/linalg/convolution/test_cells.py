"""Cells cover half of the torus of frequencies."""

from __future__ import annotations

import pytest
import torch

from onelip.linalg.convolution.cells import cover


@pytest.mark.parametrize("reach", [(2, 2), (1, 3), (0, 2), (0, 0)])
def test_cells_cover_half_of_the_torus(reach: tuple[int, int]) -> None:
    cells = cover(reach, 2, 6)
    for _ in range(2):
        mirrored = -cells.lower - (torch.tensor(cells.steps) > 1).long()
        mirrored[:, 0] = cells.lower[:, 0]
        covered = torch.cat([cells.codes(cells.lower), cells.codes(mirrored)]).unique()
        assert len(covered) == 2 * cells.counts[0] * cells.counts[1]
        cells = cells.split()


@pytest.mark.parametrize("reach", [(2, 2), (1, 3), (0, 2), (0, 0)])
def test_corners_are_the_grid_up_to_sign(reach: tuple[int, int]) -> None:
    cells = cover(reach, 1, 6)
    corners = cells.points(cells.corners().unique())
    grid = torch.cartesian_prod(torch.zeros(1, dtype=torch.int64), *(torch.arange(n) for n in cells.counts))
    assert cells.canonical(grid).unique().tolist() == cells.canonical(corners).unique().tolist()
