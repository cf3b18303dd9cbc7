from __future__ import annotations

import pytest
from torch import nn

from onelip import layers as L
from onelip import lipschitz_bound
from onelip.bounds import NetworkBound
from onelip.linalg import Bound


def test_product_and_tightened_constant_stand_side_by_side() -> None:
    bound = NetworkBound(Bound(4.0, True, "product"), (), (3, 2), tightened=Bound(1.0, True, "ellipsoids"))
    assert bound.value == 4.0
    assert bound.best == Bound(1.0, True, "ellipsoids")
    first, second = str(bound).splitlines()[-2:]
    assert first == "Lipschitz constant (l2) <= 4 (proved) for inputs 3x2"
    assert second == "with runs of dense layers bounded as a whole <= 1 (proved, 0.25 of that)"


def test_without_a_tightened_constant_the_product_is_best() -> None:
    bound = NetworkBound(Bound(4.0, False, "contains estimates: 0"), (), (3,))
    assert bound.best is bound.bound
    assert "ESTIMATE" in str(bound).splitlines()[-1]


def test_an_estimate_stays_one_when_it_is_tightened() -> None:
    class Guess(nn.Module):
        def lipschitz_bound(self, input_shape: tuple[int, ...]) -> Bound:
            return Bound(1.0, False, "guess")

        def forward(self, x):
            return x

    dense = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
    bound = lipschitz_bound(nn.Sequential(Guess(), dense), (4,))
    assert bound.tightened is not None
    assert not bound.tightened.proved
    assert "ESTIMATE" in str(bound).splitlines()[-1]
    assert lipschitz_bound(dense, (4,)).best.proved


def test_linf_and_negative_steps() -> None:
    dense = nn.Sequential(nn.Linear(4, 8), L.MaxMin(), nn.Linear(8, 3))
    assert lipschitz_bound(dense, (4,), norm="linf").tightened is None
    with pytest.raises(ValueError, match="search_steps=-1 in lipschitz_bound"):
        lipschitz_bound(dense, (4,), search_steps=-1)
