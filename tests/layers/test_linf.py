"""L-infinity layers: row sums of the dense matrix are at most 1, the projection is the nearest, l2 is proved apart."""

from __future__ import annotations

import pytest
import torch
from tests.layers.conv_grid import case_name, largest_gain, randomised, sampled_cases
from tests.layers.dense import dense_matrix

from onelip import layers
from onelip.layers import LInfConv2d, LInfLinear


@pytest.mark.parametrize("case", sampled_cases(24, seed=5), ids=case_name)
def test_norms_over_shapes(case):
    layer = randomised(LInfConv2d, case)
    largest = float(dense_matrix(layer, (case["in_channels"], *case["image"])).abs().sum(1).max())
    bound = layer.linf_bound()
    assert largest <= bound.value <= 1 + 1e-10
    assert bound.proved
    l2 = layer.lipschitz_bound()
    assert largest_gain(layer, case) <= l2.value
    assert l2.proved


def test_l2_norm_may_exceed_one():
    layer = LInfLinear(4, 4)
    layer.weight = torch.full((4, 4), 0.25) * torch.tensor([[1.0], [1.0], [1.0], [1.0]])
    assert layer.lipschitz_bound().value == pytest.approx(1.0, rel=1e-6)
    layer.weight = torch.eye(4)[[0, 0, 0, 0]]
    assert layer.linf_bound().value <= 1 + 1e-12
    assert layer.lipschitz_bound().value == pytest.approx(2.0)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_outputs_stay_below_the_largest_input(scale):
    layer = LInfConv2d(3, 5, 3, padding=1, bias=False)
    with torch.no_grad():
        layer.raw_weight.copy_(scale * torch.randn_like(layer.raw_weight))
    x = torch.sign(torch.randn(8, 3, 6, 6))
    for training in (True, False):
        assert float(layer.train(training)(x).detach().abs().max()) <= 1 + 1e-6
    # Attained where the input has the signs of the kernel.
    kernel = layer.weight.detach()
    patch = kernel[0].sign()[None]
    reached = float(torch.nn.functional.conv2d(patch, kernel)[0, 0])
    assert reached == pytest.approx(float(kernel[0].abs().sum()))
    assert scale < 1 or reached == pytest.approx(1)


def test_rows_in_the_ball_are_kept_to_the_bit():
    layer, weight = LInfLinear(5, 3), torch.randn(3, 5) / 10
    weight[1] *= 30
    layer.weight = weight
    for training in (True, False):
        found = layer.train(training).weight
        assert torch.equal(found[0], weight[0])
        assert torch.equal(found[2], weight[2])
        assert float(found[1].detach().abs().sum()) == pytest.approx(1)


def test_starts_in_the_ball():
    for layer in (LInfConv2d(3, 6, 3), LInfConv2d(2, 8, 2, 2), LInfLinear(7, 4), LInfLinear(4, 9)):
        assert torch.equal(layer.weight, layer.raw_weight)
        assert float(layer.weight.detach().flatten(1).abs().sum(1).max()) > 0.5
    x = torch.randn(2, 4, 5, 5)
    assert torch.equal(LInfConv2d(4, 4, 3, padding=1)(x), x)


def test_training_moves_rows_along_the_sphere_of_the_ball():
    layer = LInfLinear(6, 2, bias=False, dtype=torch.float64)
    with torch.no_grad():
        layer.raw_weight.mul_(3)
    x, y = torch.randn(64, 6, dtype=torch.float64), torch.randn(64, 2, dtype=torch.float64)
    optimizer = torch.optim.SGD(layer.parameters(), 0.1)
    losses = []
    for _ in range(20):
        optimizer.zero_grad()
        loss = (layer(x) - y).square().mean()
        loss.backward()
        optimizer.step()
        layer.retract_()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    assert float(layer.weight.detach().abs().sum(1).max()) <= 1 + 1e-12


def test_records_name_the_norm():
    assert {layers.record(kind, "l-infinity").norm for kind in ("conv2d", "linear")} == {"linf"}
