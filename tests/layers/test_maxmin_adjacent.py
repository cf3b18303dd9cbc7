"""MaxMin of neighbours: its order, its plain form, and what is not allowed."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from onelip.layers import AdjacentMaxMin, MaxMin


def test_a_maximum_stands_before_its_minimum() -> None:
    x = torch.tensor([[1.0, 5.0, 7.0, 3.0]])
    assert AdjacentMaxMin()(x).tolist() == [[5.0, 1.0, 7.0, 3.0]]


@given(st.lists(st.integers(-2, 2), min_size=4, max_size=4))
def test_jacobian_is_a_permutation_at_every_point(entries: list[int]) -> None:
    x = torch.tensor([entries], dtype=torch.float64)
    jacobian = torch.func.jacrev(AdjacentMaxMin())(x).reshape(4, 4)
    assert torch.equal(jacobian @ jacobian.T, torch.eye(4, dtype=torch.float64))
    assert torch.equal(jacobian @ x[0], AdjacentMaxMin()(x)[0])


def test_it_is_maxmin_but_for_the_order() -> None:
    x = torch.randn(3, 8, 5, 5)
    assert torch.equal(
        AdjacentMaxMin()(x).sort(1).values, MaxMin()(torch.cat([x[:, ::2], x[:, 1::2]], 1)).sort(1).values
    )


@pytest.mark.parametrize("dim", [1, -1, 2])
def test_plain_form_is_the_same_function(dim: int) -> None:
    x = torch.randn(2, 6, 6, 6)
    layer = AdjacentMaxMin.for_channels(6, dim=dim)
    assert torch.equal(layer.to_plain()(x), layer(x))


def test_odd_channels_are_refused() -> None:
    with pytest.raises(ValueError, match="channels=3 in AdjacentMaxMin cannot be paired"):
        AdjacentMaxMin.for_channels(3)
    with pytest.raises(ValueError, match="channels=5 in AdjacentMaxMin cannot be paired"):
        AdjacentMaxMin()(torch.zeros(1, 5))


def test_plain_form_needs_the_number_of_channels() -> None:
    with pytest.raises(ValueError, match=r"build it with AdjacentMaxMin\.for_channels"):
        AdjacentMaxMin().to_plain()
