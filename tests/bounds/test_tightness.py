"""How far proved constants are above the true ones: of orthogonal layers, and of ordinary convolutions."""

import pytest
import torch
from tests.bounds.dense import jacobian
from torch import nn

from onelip import layers
from onelip.bounds import lipschitz_bound

ORTHOGONAL = 1e-6

NEARLY = {"soc": 1e-5, "adaptive-soc": 1e-5}
"""Series of a skew operator, whose singular values are spread over a few parts in 100,000; which of them an image of
one size takes up is not looked at."""

ARGUMENTS = {
    "conv1d": ((8, 8, 3), {"padding": 1, "padding_mode": "circular"}, (8, 12)),
    "conv2d": ((8, 8, 3), {"padding": 1, "padding_mode": "circular"}, (8, 6, 6)),
    "conv_transpose2d": ((8, 8, 2), {"stride": 2}, (8, 4, 4)),
    "linear": ((48, 48), {}, (48,)),
}


def norm(model: nn.Module, shape: tuple[int, ...]) -> float:
    model = model.double()
    return float(torch.linalg.svdvals(jacobian(model, torch.zeros(shape, dtype=torch.float64)))[0])


@pytest.mark.parametrize(("kind", "name"), [(k, n) for k in ARGUMENTS for n in layers.available(k)])
def test_orthogonal_layers_are_proved_to_parts_in_a_million(kind, name):
    positional, named, shape = ARGUMENTS[kind]
    torch.manual_seed(0)
    try:
        layer = getattr(layers, kind)(name, *positional, **named)
    except ValueError:
        assert kind == "conv_transpose2d", "every method has a layer of this shape"
        return
    if not layer.orthogonal:
        assert name not in NEARLY
        return
    layer.eval()(torch.zeros(1, *shape))
    plain = layers.to_plain(layer)
    bound = lipschitz_bound(plain, shape)
    true = norm(plain, shape)
    assert bound.proved
    assert true * (1 - 1e-12) <= bound.value <= true * (1 + NEARLY.get(name, ORTHOGONAL))
