from __future__ import annotations

import pytest
import torch

from onelip import layers
from onelip.linalg.first_order import differentiable_once


def test_values_and_first_derivatives_pass() -> None:
    x = torch.randn(3, requires_grad=True)
    y = differentiable_once(x)
    assert torch.equal(y, x)
    (gradient,) = torch.autograd.grad(y.square().sum(), x)
    assert torch.equal(gradient, 2 * x)
    values = torch.vmap(differentiable_once)(torch.eye(3))
    assert torch.equal(values, torch.eye(3))


def test_second_derivative_is_an_error() -> None:
    x = torch.randn(3, requires_grad=True)
    (gradient,) = torch.autograd.grad(differentiable_once(x).pow(3).sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="second derivatives through the constraint"):
        gradient.sum().backward()


@pytest.mark.parametrize("name", ["cayley", "lot"])
def test_layers_refuse_it_and_bear_a_gradient_penalty(name: str) -> None:
    layer = layers.conv2d(name, 2, 2, 3, padding=1, padding_mode="circular")
    x = torch.randn(1, 2, 4, 4, requires_grad=True)
    y = layer(x).square().sum()
    (of_input,) = torch.autograd.grad(y, x, create_graph=True)
    of_input.square().sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in layer.parameters() if p.grad is not None)
    (of_raw,) = torch.autograd.grad(layer(x).square().sum(), layer.raw_weight, create_graph=True)
    with pytest.raises(RuntimeError, match="second derivatives"):
        of_raw.sum().backward()
