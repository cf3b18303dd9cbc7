"""Bjorck: the order of the iteration."""

from __future__ import annotations

import pytest
import torch

from onelip.layers import BjorckLinear
from onelip.linalg import bjorck


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_weight_comes_from_that_order(order: int) -> None:
    layer = BjorckLinear(5, 7, order=order)
    with torch.no_grad():
        layer.raw_weight.copy_(torch.randn(7, 5))
    assert torch.equal(layer.weight, bjorck(layer.raw_weight, order=order).matrix)
    assert f"order={order}" in repr(layer)


@pytest.mark.parametrize("order", [0, 5, 1.0, True, "2"])
def test_other_orders_are_refused(order: object) -> None:
    with pytest.raises(ValueError, match="in BjorckLinear must be 1, 2, 3 or 4"):
        BjorckLinear(5, 7, order=order)  # type: ignore[arg-type]
