"""Weights near the identity: the formula, its inverse, how they start, and the orthogonal layers built on them."""

import pytest
import torch
from tests.layers.dense import dense_matrix, singular_values, train

from onelip.layers import BROConv2d, BROLinear, CholeskyLinear, LOTLinear, QRLinear
from onelip.layers.near_identity import (
    identity_kernel,
    near_identity,
    near_identity_inverse,
    near_identity_parameters,
)


def test_identity_of_every_shape():
    assert torch.equal(identity_kernel(torch.empty(3, 2)), torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]]))
    kernel = identity_kernel(torch.empty(4, 1, 3, 2), groups=4)
    assert torch.equal(kernel.nonzero(), torch.tensor([[i, 0, 1, 0] for i in range(4)]))


@pytest.mark.parametrize(("shape", "groups"), [((4, 3), 1), ((6, 2, 3, 3), 2), ((4, 4, 1, 2), 1)])
def test_formula_and_inverse(shape, groups):
    weight, gamma = torch.randn(shape, dtype=torch.float64), torch.randn(shape[0], dtype=torch.float64)
    found = near_identity(weight, gamma, depth=4, groups=groups)
    rows = [identity_kernel(weight, groups)[i] + weight[i] * gamma[i] / 2 for i in range(shape[0])]
    torch.testing.assert_close(found, torch.stack(rows))
    torch.testing.assert_close(near_identity(*near_identity_inverse(found, 4, groups), depth=4, groups=groups), found)


def test_parameters_start_as_published():
    weight, gamma = near_identity_parameters(64, 32, 3, 3, fan=100)
    assert float(weight.detach().std()) == pytest.approx(0.01, rel=0.05)
    assert torch.equal(gamma, torch.ones(64))


@pytest.mark.parametrize("kind", [QRLinear, LOTLinear])
@pytest.mark.parametrize(("inputs", "outputs"), [(6, 6), (4, 6), (6, 4)])
def test_other_dense_layers_orthogonalise_what_is_near_the_identity(kind, inputs, outputs):
    layer = kind(inputs, outputs, dtype=torch.float64, depth=8)
    raw = torch.eye(outputs, inputs) + layer.raw_weight.detach() / 8**0.5
    u, _, vh = torch.linalg.svd(raw, full_matrices=False)
    q, r = torch.linalg.qr(raw if outputs >= inputs else raw.mT)
    columns = q * r.diagonal().sign()
    expected = u @ vh if kind is LOTLinear else columns if outputs >= inputs else columns.mT
    torch.testing.assert_close(layer.weight.detach(), expected, rtol=0, atol=1e-6)
    assert "depth=8" in repr(layer)


@pytest.mark.parametrize(("inputs", "outputs"), [(6, 6), (4, 6), (6, 4)])
def test_cholesky_layers_start_near_the_identity_and_stay_orthogonal(inputs, outputs):
    layer = CholeskyLinear(inputs, outputs, dtype=torch.float64, depth=8)
    assert layer.orthogonal
    assert layer.bias is not None
    assert not layer.bias.any()
    assert set(layer.state_dict()) == {"raw_weight", "gamma", "bias"}
    start = layer.weight.detach()
    assert float((start - torch.eye(outputs, inputs)).abs().max()) < 0.3
    # The columns of I + W/sqrt(8) (rows, if there are fewer), orthonormalised in order as by Gram-Schmidt.
    raw = torch.eye(outputs, inputs) + layer.raw_weight.detach() / 8**0.5
    q, r = torch.linalg.qr(raw if outputs >= inputs else raw.mT)
    expected = q * r.diagonal().sign()
    torch.testing.assert_close(start, expected if outputs >= inputs else expected.mT, rtol=0, atol=1e-6)
    train(layer, torch.randn(5, inputs, dtype=torch.float64), 5, 0.1, retract=True)
    assert float((layer.weight.detach() - start).abs().max()) > 0.1
    assert float((singular_values(layer, (inputs,)) - 1).abs().max()) < 1e-10


def test_reflectors_start_near_changes_of_signs_and_stay_orthogonal():
    conv = BROConv2d(4, 4, 3, padding=1, padding_mode="circular", depth=8, dtype=torch.float64)
    conv.image_size = (3, 4)
    signs = torch.diag(torch.tensor([-1.0, -1.0, 1.0, 1.0], dtype=torch.float64).repeat_interleave(12))
    assert float((dense_matrix(conv, (4, 3, 4)) - signs).abs().max()) < 0.3
    assert set(conv.state_dict()) == {"raw_weight", "gamma", "bias"}
    train(conv, torch.randn(2, 4, 3, 4, dtype=torch.float64), 3, 0.1)
    assert float((singular_values(conv, (4, 3, 4)) - 1).abs().max()) < 1e-10
    dense = BROLinear(6, 4, depth=2, rank_ratio=0.5, dtype=torch.float64)
    target = dense.weight.detach().clone()
    other = BROLinear(6, 4, depth=3, dtype=torch.float64)
    other.weight = target
    torch.testing.assert_close(other.weight.detach(), nearest(target))


def nearest(target):
    layer = BROLinear(6, 4, dtype=torch.float64)
    layer.weight = target
    return layer.weight.detach()


@pytest.mark.parametrize("layer", [CholeskyLinear, BROLinear])
@pytest.mark.parametrize("depth", [0, 1.5, True])
def test_refused_depths(layer, depth):
    with pytest.raises(ValueError, match=rf"depth={depth} in {layer.__name__} must be an integer of at least 1"):
        layer(4, 4, depth=depth)
