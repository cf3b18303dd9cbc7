import pytest
import torch
from torch import nn

from onelip import layers as L
from onelip.certify.export import freeze
from onelip.certify.export_modules import module_operation
from onelip.certify.forward import evaluate

ACTIVATIONS = [
    nn.ReLU(), nn.LeakyReLU(0.1), nn.PReLU(), nn.PReLU(6), L.Abs(), L.BetaAbs(0.4), L.BetaAbs(0.5, -1), L.MaxMin(),
    L.MaxMinReLU(), L.MaxMin(-1), L.GroupSort(3), L.Maxout(), L.Maxout(3, 1), L.HouseHolder(6), L.HouseHolder2(6),
    L.HouseHolder2(4, -1), L.NActivation(6), L.NActivation(4, -1), L.SoftHuber(), L.LPReLU(6).to_plain(),
]  # fmt: skip


# Layers with parameters for four entries of the last axis have no meaning on six.
FOUR = (L.HouseHolder2, L.NActivation)
CASES = [
    (layer, shape)
    for layer in ACTIVATIONS
    for shape in [(6, 3, 4), (6, 4), (6,)]
    if not (isinstance(layer, FOUR) and layer.dim == -1 and shape[-1] != 4)
]


@pytest.mark.parametrize(("layer", "shape"), CASES, ids=str)
def test_operations_are_the_modules(layer, shape):
    layer = layer.double()
    with torch.no_grad():
        for p in layer.parameters():
            p.uniform_(-2, 2, generator=torch.Generator().manual_seed(0))
    x = torch.randn(3, *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    y, errors = evaluate(freeze(nn.Sequential(layer), shape).network, x)
    with torch.no_grad():
        assert bool(((y - layer(x)).flatten(1).norm(dim=1) <= 2 * errors + 1e-15).all())


def test_a_form_with_relu_is_certified_as_maxmin():
    assert module_operation(L.MaxMinReLU(), (4,), (4,)).op == "maxmin"
    assert module_operation(nn.Hardtanh(), (4,), (4,)).attributes == {"low": -1.0, "high": 1.0}
    assert module_operation(nn.CELU(0.5), (4,), (4,)).attributes == {"alpha": 0.5, "width": 0.5, "scale": 1.0}
