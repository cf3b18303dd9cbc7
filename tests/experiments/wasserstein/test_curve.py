"""The picture of a training."""

import pytest

from onelip.experiments.wasserstein.curve import BoundCurve


@pytest.mark.parametrize("exact", [None, 1.0])
def test_it_is_drawn(tmp_path, exact):
    path = tmp_path / "curve.png"
    BoundCurve([10, 20], [0.5, 0.9], [0.1, 0.05], exact, "l2").plot(path)
    assert path.read_bytes().startswith(b"\x89PNG")
