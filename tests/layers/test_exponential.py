"""Exponential dense layers: SciPy's matrix exponential, and weights that come back."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg
import torch

from onelip.layers import ExponentialLinear

SIZES = [(1, 1), (5, 5), (4, 9), (9, 4), (1, 6), (6, 1)]


@pytest.mark.parametrize(("inputs", "outputs"), SIZES)
@pytest.mark.parametrize("scale", [0.0, 1e-3, 1.0, 30.0])
def test_weight_is_scipys_exponential(inputs: int, outputs: int, scale: float) -> None:
    layer = ExponentialLinear(inputs, outputs, dtype=torch.float64)
    with torch.no_grad():
        layer.raw_weight.mul_(scale)
    v = layer.raw_weight.detach().numpy()
    expected = scipy.linalg.expm((v - v.T) / 2)[:outputs, :inputs]
    np.testing.assert_allclose(layer.weight.detach().numpy(), expected, atol=1e-12 * max(1.0, scale))


@pytest.mark.parametrize(("inputs", "outputs"), SIZES)
def test_every_singular_value_is_one(inputs: int, outputs: int) -> None:
    layer = ExponentialLinear(inputs, outputs).eval()
    np.testing.assert_allclose(np.linalg.svd(layer.weight.detach().double().numpy())[1], 1, atol=1e-6)
    assert layer.lipschitz_bound().proved
    assert layer.lipschitz_bound().value <= 1 + 1e-6


@pytest.mark.parametrize(("inputs", "outputs"), SIZES)
def test_semi_orthogonal_weights_come_back(inputs: int, outputs: int) -> None:
    layer = ExponentialLinear(inputs, outputs, dtype=torch.float64)
    u, _, vh = np.linalg.svd(np.random.default_rng(2).normal(size=(outputs, inputs)), full_matrices=False)
    q = u @ vh
    if inputs == outputs and np.linalg.det(q) < 0:
        q[0] = -q[0]
    layer.weight = torch.tensor(q)
    np.testing.assert_allclose(layer.weight.detach().numpy(), q, atol=1e-9)


def test_half_turns_and_permutations_come_back() -> None:
    layer = ExponentialLinear(4, 4, dtype=torch.float64)
    for q in (-torch.eye(4), torch.eye(4)[[1, 0, 3, 2]], torch.eye(4)[[1, 2, 0, 3]], torch.eye(4)):
        layer.weight = q.double()
        torch.testing.assert_close(layer.weight.detach(), q.double(), rtol=0, atol=1e-9)


def test_reflection_becomes_the_nearest_rotation() -> None:
    layer = ExponentialLinear(3, 3, dtype=torch.float64)
    layer.weight = torch.diag(torch.tensor([2.0, 1.0, -0.5], dtype=torch.float64))
    torch.testing.assert_close(layer.weight.detach(), torch.eye(3, dtype=torch.float64))
