"""The exact polar factor."""

from __future__ import annotations

import pytest
import torch
from scipy.linalg import polar

from onelip.linalg.polar import polar_factor


@pytest.mark.parametrize("shape", [(6, 4), (4, 6), (5, 5)])
def test_agrees_with_scipy(shape: tuple[int, int]) -> None:
    w = torch.randn(shape, dtype=torch.float64)
    expected, _ = polar(w.numpy(), side="right" if shape[0] >= shape[1] else "left")
    torch.testing.assert_close(polar_factor(w), torch.from_numpy(expected), atol=1e-12, rtol=0)


def test_completes_zero() -> None:
    q = polar_factor(torch.zeros(2, 3, 4, dtype=torch.float64))
    torch.testing.assert_close(q @ q.mT, torch.eye(3, dtype=torch.float64).expand(2, 3, 3), atol=1e-14, rtol=0)
