"""The pyramid: its shapes, its start, its constant, and what it refuses."""

from __future__ import annotations

import pytest
import torch

from onelip import models
from onelip.bounds import lipschitz_bound
from onelip.layers import AOCConv2d, BetaAbs

_SMALL = {"widths": [16, 8], "depths": [1, 2], "dense": [8]}


def _build(**options: object) -> torch.nn.Sequential:
    torch.manual_seed(0)
    return models.build("pyramid", input_shape=(3, 16, 16), n_classes=4, **{**_SMALL, **options})


def test_layers_and_shapes() -> None:
    network = _build(patch=2, widths=[16, 8, 4], depths=[1, 0, 2])
    convolutions = [m for m in network.modules() if isinstance(m, AOCConv2d)]
    assert [(c.in_channels, c.out_channels, c.kernel_size[0]) for c in convolutions] == [
        (12, 16, 3),
        (16, 16, 3),
        (64, 8, 1),
        (32, 4, 1),
        (4, 4, 3),
        (4, 4, 3),
    ]
    assert sum(isinstance(m, BetaAbs) for m in network.modules()) == 7
    assert network(torch.rand(2, 3, 16, 16)).shape == (2, 4)


def test_deep_convolutions_begin_at_the_identity_and_biases_at_zero() -> None:
    network = _build()
    for name in ("conv1_1", "conv2_1", "conv2_2"):
        weight = network.get_submodule(name).eval_weight()
        torch.testing.assert_close(weight, torch.nn.init.dirac_(torch.empty_like(weight)), rtol=0, atol=1e-6)
    assert all(not p.any() for n, p in network.named_parameters() if n.endswith("bias"))


def test_methods_without_a_start_and_circular_padding_work() -> None:
    network = _build(layer="aol", padding_mode="circular", head=None)
    assert network(torch.rand(2, 3, 16, 16)).shape == (2, 4)


def test_the_constant_of_the_features_is_proved() -> None:
    network = _build(head="aoc").double()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    bound = lipschitz_bound(network, (3, 16, 16))
    assert bound.value <= 1 + 1e-9
    x = torch.rand(3, 16, 16, dtype=torch.float64)
    network.eval()
    jacobian = torch.autograd.functional.jacobian(lambda v: network(v[None])[0], x).flatten(1)
    assert float(torch.linalg.matrix_norm(jacobian, 2)) <= bound.value


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"depths": [1]}, "depths=.* one for each of the 2 widths"),
        ({"depths": [1, -1]}, "depths=.* integers >= 0"),
        ({"patch": 3}, "must be multiples of 6"),
        ({"kernel_size": 4}, "kernel_size=4 for model 'pyramid' must be odd"),
        ({"padding_mode": "reflect"}, "padding_mode='reflect' for model 'pyramid'"),
        ({"widths": [0, 8]}, "widths=.* must be a list of integers >= 1"),
    ],
)
def test_refusals(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        _build(**options)
