"""MaxMin: order, odd channels, axes, and a permutation as Jacobian even at ties."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from onelip.layers import MaxMin, activation
from onelip.layers.maxmin import sort_pair


def test_maxima_come_first_and_an_odd_channel_passes_through() -> None:
    x = torch.tensor([[1.0, 5.0, 3.0, 7.0, 9.0]])
    assert MaxMin()(x).tolist() == [[3.0, 7.0, 1.0, 5.0, 9.0]]


@given(st.lists(st.integers(-2, 2), min_size=2, max_size=7))
def test_jacobian_is_a_permutation_at_every_point(entries: list[int]) -> None:
    x = torch.tensor([entries], dtype=torch.float64)
    jacobian = torch.func.jacrev(MaxMin())(x).reshape(x.shape[1], x.shape[1])
    assert torch.equal(jacobian @ jacobian.T, torch.eye(x.shape[1], dtype=torch.float64))
    assert torch.equal(jacobian @ x[0], MaxMin()(x)[0])


@pytest.mark.parametrize("dim", [0, 1, 2, -1, -2])
def test_other_axes_agree_with_moving_the_axis(dim: int) -> None:
    x = torch.randn(4, 6, 8)
    assert torch.equal(MaxMin(dim)(x), MaxMin()(x.movedim(dim, 1)).movedim(1, dim))


def test_second_derivatives_pass_through() -> None:
    a, b = torch.randn(2, 5, dtype=torch.float64)
    assert torch.autograd.gradgradcheck(lambda u, v: sort_pair(u**2, v**3), (a.requires_grad_(), b.requires_grad_()))


def test_number_of_channels_is_checked_when_it_was_given() -> None:
    with pytest.raises(ValueError, match="input with 6 channels in MaxMin must have channels=4"):
        activation("maxmin", 4)(torch.zeros(1, 6))


@pytest.mark.parametrize("dim", [1.0, "1", None, True])
def test_dim_must_be_an_integer(dim: object) -> None:
    with pytest.raises(ValueError, match="in MaxMin must be an integer"):
        MaxMin(dim)  # type: ignore[arg-type]


def test_missing_axis_is_named() -> None:
    with pytest.raises(ValueError, match="dim=3 in MaxMin is not an axis of an input with 2 axes"):
        MaxMin(3)(torch.zeros(1, 2))
