import copy
from fractions import Fraction

import pytest
import torch
from tests.certify.networks import around, rich, samples, small, volumes
from torch import nn

from onelip import layers as L
from onelip.certify.export import freeze
from onelip.certify.forward import OPERATIONS, evaluate


def frozen_logits(model, x):
    frozen = freeze(model, tuple(x.shape[1:])).network
    return evaluate(frozen, x.double())


def test_agrees_with_the_model_in_float64():
    for model in (small().double(), rich().double(), around().double(), volumes().double()):
        x = samples().double()
        logits, errors = frozen_logits(model, x)
        with torch.no_grad():
            expected = model(x)
        # Torch's own float64 evaluation obeys the same error bound.
        assert bool(((logits - expected).norm(dim=1) <= 2 * errors).all())
        assert float(errors.max()) < 1e-9


def test_the_error_bound_holds_against_exact_arithmetic():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 3)).double()
    with torch.no_grad():
        # Cancellation makes rounding visible.
        model[0].bias += 1e8
        model[2].bias -= 4e8 * model[2].weight.sum(1) / 4
    x = torch.rand(6, 5).double()
    logits, errors = frozen_logits(model, x)

    def affine(layer, values):
        rows = zip(layer.weight.tolist(), layer.bias.tolist(), strict=True)
        return [sum((Fraction(w) * v for w, v in zip(row, values, strict=True)), Fraction(b)) for row, b in rows]

    off = []
    for i in range(6):
        hidden = [max(v, Fraction(0)) for v in affine(model[0], [Fraction(v) for v in x[i].tolist()])]
        exact = affine(model[2], hidden)
        off.append(float(sum((Fraction(z) - e) ** 2 for z, e in zip(logits[i].tolist(), exact, strict=True))) ** 0.5)
    assert max(off) > 0
    assert bool((torch.tensor(off, dtype=torch.float64) <= errors).all())


def test_errors_grow_with_the_constant():
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4)).double()
    x = torch.rand(2, 4).double()
    first = frozen_logits(model, x)[1]
    with torch.no_grad():
        model[1].weight *= 1000
    assert bool((frozen_logits(model, x)[1] > 100 * first).all())


def test_every_operation_is_exercised():
    seen = set()
    for model in (small(), rich(), around(), volumes()):
        seen |= {node.op for node in freeze(model, (2, 6, 6)).network.nodes}
    assert seen == set(OPERATIONS)


@pytest.mark.parametrize("scale", [1e-100, 1e-170, 1e-200])
def test_bounds_of_errors_follow_the_scale_of_the_weights(scale):
    # Pixels are large, so that nothing is small enough for the allowance for underflow.
    torch.manual_seed(0)
    layers = {
        "linear": (nn.Linear(8, 8, bias=False), (8,)),
        "conv": (nn.Conv2d(2, 3, 3, padding=1, bias=False), (2, 4, 4)),
        "frequency": (L.FrequencyConv2d(torch.randn(4, 3, 1, 2, 2, dtype=torch.complex64), None, (4, 4)), (2, 4, 4)),
    }
    for layer, shape in layers.values():
        layer = layer.to(torch.float64)
        x = torch.rand(2, *shape, dtype=torch.float64) * 1e80
        errors = []
        for factor in (1.0, scale):
            scaled = copy.deepcopy(layer)
            with torch.no_grad():
                for p in [*scaled.parameters(), *scaled.buffers()]:
                    p.mul_(factor)
            errors.append(evaluate(freeze(scaled, shape).network, x)[1] / factor)
        assert torch.allclose(errors[0], errors[1], rtol=1e-6)
