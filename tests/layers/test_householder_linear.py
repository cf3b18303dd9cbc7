"""Householder layers: the product of explicit reflections, its determinant, its inverse, zero normals."""

from __future__ import annotations

import functools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from onelip.layers import HouseholderLinear
from onelip.layers.householder_linear import reflection_normals

SHAPES = ((6, 6), (5, 5), (9, 4), (4, 9), (1, 5), (5, 1), (1, 1))


def one_by_one(normals: Tensor, n: int) -> Tensor:
    """The first n columns of the product of the reflections, each as a matrix."""
    m = len(normals)
    eye = torch.eye(m, dtype=normals.dtype)
    factors = [eye - 2 * torch.outer(v, v) / v.dot(v) for v in normals.T]
    return functools.reduce(torch.matmul, factors, eye)[:, :n]


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(SHAPES), st.data())
def test_weight_is_the_product_of_reflections(shape: tuple[int, int], data: st.DataObject) -> None:
    out, inputs = shape
    r = data.draw(st.integers(1, min(shape)))
    layer = HouseholderLinear(inputs, out, n_reflections=r, dtype=torch.float64)
    raw, w = layer.raw_weight.detach(), layer.weight.detach()
    expected = one_by_one(raw, inputs) if out >= inputs else one_by_one(raw.T, out).T
    assert torch.allclose(w, expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize("r", [1, 2, 5, 6])
def test_determinant_and_fixed_space_of_square_weights(r: int) -> None:
    w = HouseholderLinear(6, 6, n_reflections=r, dtype=torch.float64).weight.detach().numpy()
    assert np.linalg.det(w) == pytest.approx((-1) ** r)
    assert np.sum(np.linalg.svd(w - np.eye(6), compute_uv=False) < 1e-12) == 6 - r


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(SHAPES), st.data(), st.integers(0, 100))
def test_weights_of_the_set_come_back(shape: tuple[int, int], data: st.DataObject, seed: int) -> None:
    out, inputs = shape
    r = data.draw(st.integers(1, min(shape)))
    torch.manual_seed(seed)
    target, layer = (HouseholderLinear(inputs, out, n_reflections=r, dtype=torch.float64) for _ in range(2))
    layer.weight = target.weight.detach()
    assert torch.allclose(layer.weight, target.weight, rtol=0, atol=1e-12)


@pytest.mark.parametrize("shape", [(6, 6), (9, 4), (4, 9)])
def test_assigned_identity_keeps_learning(shape: tuple[int, int]) -> None:
    layer = HouseholderLinear(shape[1], shape[0], bias=False)
    layer.weight = torch.eye(*shape)
    assert torch.allclose(layer.weight, torch.eye(*shape), rtol=0, atol=1e-6)
    lengths = layer.raw_weight.detach().norm(dim=0 if shape[0] >= shape[1] else 1)
    assert torch.allclose(lengths, torch.ones_like(lengths))
    (layer(torch.randn(8, shape[1])) * torch.randn(8, shape[0])).sum().backward()
    assert layer.raw_weight.grad is not None
    assert bool(layer.raw_weight.grad.norm(dim=0 if shape[0] >= shape[1] else 1).all())


@pytest.mark.parametrize("sign", [1, -1])
def test_projection_of_a_square_weight_keeps_the_determinant(sign: int) -> None:
    generator = torch.Generator().manual_seed(3)
    target = torch.randn(5, 5, generator=generator, dtype=torch.float64)
    target = target * torch.where(torch.tensor(np.linalg.det(target.numpy()) * sign > 0), 1.0, -1.0)
    layer = HouseholderLinear(5, 5, dtype=torch.float64)
    layer.weight = target
    # The nearest orthogonal matrix of determinant -1 (Schoenemann; Kabsch).
    u, _, vh = np.linalg.svd(target.numpy())
    flip = np.diag([1, 1, 1, 1, -np.linalg.det(u @ vh)])
    assert np.allclose(layer.weight.detach().numpy(), u @ flip @ vh, rtol=0, atol=1e-12)


def test_zero_weight_is_the_identity() -> None:
    layer = HouseholderLinear(4, 6)
    with torch.no_grad():
        layer.raw_weight.zero_()
    assert torch.equal(layer.weight, torch.eye(6, 4))


def test_reflections_are_counted_and_checked() -> None:
    assert HouseholderLinear(4, 6).n_reflections == 4
    assert tuple(HouseholderLinear(6, 4, n_reflections=3).raw_weight.shape) == (3, 6)
    with pytest.raises(ValueError, match=r"n_reflections=5 in HouseholderLinear must be at most .*=4"):
        HouseholderLinear(4, 6, n_reflections=5)
    with pytest.raises(ValueError, match="n_reflections=0 in HouseholderLinear must be an integer of at least 1"):
        HouseholderLinear(4, 6, n_reflections=0)


def test_normals_of_the_identity_are_not_zero() -> None:
    normals = reflection_normals(torch.eye(4, dtype=torch.float64), 4)
    assert torch.allclose(normals.norm(dim=0), torch.ones(4, dtype=torch.float64))
    assert torch.allclose(one_by_one(normals, 4), torch.eye(4, dtype=torch.float64), rtol=0, atol=1e-14)
