"""Scale: an exact bound, and no numbers that are none."""

from __future__ import annotations

import pytest
import torch

from onelip.layers import Scale


@pytest.mark.parametrize("factor", [0.3, -2.5, 0, 1])
def test_bound_is_the_factor(factor: float) -> None:
    layer = Scale(factor)
    bound = layer.lipschitz_bound()
    assert bound.proved
    assert bound.value == abs(factor)
    assert torch.equal(layer(torch.ones(2, dtype=torch.float64)), torch.full((2,), float(factor), dtype=torch.float64))
    assert layer.orthogonal == (abs(factor) == 1)
    assert repr(layer) == f"Scale({float(factor)})"


@pytest.mark.parametrize("factor", [float("nan"), float("inf"), "2", None, True])
def test_refusals(factor: object) -> None:
    with pytest.raises(ValueError, match="in Scale must be a finite number"):
        Scale(factor)  # type: ignore[arg-type]
