"""MaxMin: order, odd channels, axes, and a permutation as Jacobian even at ties."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from onelip.layers import MaxMin, MaxMinReLU, activation
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


@given(st.lists(st.integers(-2, 2), min_size=1, max_size=7))
def test_form_with_relu_is_the_same_function(entries: list[int]) -> None:
    x = torch.tensor([entries], dtype=torch.float64)
    assert torch.equal(MaxMinReLU()(x), MaxMin()(x))
    jacobian = torch.func.jacrev(MaxMinReLU())(x).reshape(x.shape[1], x.shape[1])
    assert torch.equal(jacobian @ jacobian.T, torch.eye(x.shape[1], dtype=torch.float64))


@pytest.mark.parametrize("image_axes", [0, 1, 2])
@pytest.mark.parametrize("channels", [1, 2, 5, 8])
def test_linear_layers_around_relu(image_axes: int, channels: int) -> None:
    x = torch.randn(3, channels, *[4, 2][:image_axes], dtype=torch.float64)
    chain = MaxMinReLU().to_linear(channels, image_axes).double()
    kinds = [nn.Linear, nn.Conv1d, nn.Conv2d]
    assert [type(m) for m in chain] == [kinds[image_axes], nn.ReLU, kinds[image_axes]]
    assert torch.allclose(chain(x), MaxMin()(x), rtol=0, atol=1e-15)
    with pytest.raises(ValueError, match=r"image_axes=3 in MaxMinReLU\.to_linear must be 0, 1 or 2"):
        MaxMinReLU().to_linear(channels, 3)


def test_rounding_of_the_form_with_relu_is_that_of_the_larger() -> None:
    x = torch.cat([torch.randn(2000, 2), torch.tensor([[1e20, 1.0], [1.0, 1e20], [1e-30, -1.0]])])
    gap = (MaxMinReLU()(x) - MaxMin()(x)).abs().amax(1)
    assert bool((gap <= 2**-23 * x.abs().amax(1)).all())
    assert bool(gap.any())


@pytest.mark.parametrize("dim", [0, 2, -1])
def test_form_with_relu_on_other_axes(dim: int) -> None:
    x = torch.randn(4, 6, 7, dtype=torch.float64)
    assert torch.allclose(MaxMinReLU(dim)(x), MaxMin(dim)(x), rtol=0, atol=1e-15)
