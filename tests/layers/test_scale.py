"""Scale: an exact bound, and no numbers that are none."""

from __future__ import annotations

from fractions import Fraction

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


@pytest.mark.parametrize("n", [1, 2, 3, 7, 100])
@pytest.mark.parametrize("constant", [1, 0.1, 3.0, 1e-300, 1e300])
def test_shares_multiply_to_no_more_than_the_constant(constant: float, n: int) -> None:
    share = Scale.share(constant, n).factor
    assert Fraction(share) ** n <= Fraction(constant)
    assert share == pytest.approx(constant ** (1 / n), rel=1e-13)


def test_share_refusals() -> None:
    for constant in (0, -1.0, float("inf"), "2"):
        with pytest.raises(ValueError, match="shared by Scale layers must be a positive finite number"):
            Scale.share(constant, 2)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"n=0 in Scale.share must be an integer of at least 1"):
        Scale.share(2.0, 0)


def test_another_factor() -> None:
    layer = Scale(2.0)
    layer.multiply_by_(-1)
    assert layer.orthogonal
    assert layer(torch.ones(1)) == -1
    with pytest.raises(ValueError, match="factor=nan in Scale"):
        layer.multiply_by_(float("nan"))
