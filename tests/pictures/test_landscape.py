"""Pictures of critics."""

import numpy as np
import pytest

from onelip.pictures.landscape import Landscape1d, Landscape2d


def test_a_line_is_drawn(tmp_path):
    z = np.linspace(-1, 1, 5)
    path = tmp_path / "line.png"
    Landscape1d(z, z, -np.abs(z), z[:2], z[3:], "the exact dual").plot(path)
    assert path.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("scale", [0.0, 1.0])
def test_a_plane_is_drawn_also_where_nothing_differs(tmp_path, scale):
    z = np.linspace(-1, 1, 5)
    grid = scale * np.add.outer(z, np.abs(z))
    path = tmp_path / "plane.png"
    Landscape2d(z, z, grid, grid, np.zeros((2, 2)), np.ones((3, 2)), "the exact dual").plot(path)
    assert path.read_bytes().startswith(b"\x89PNG")
