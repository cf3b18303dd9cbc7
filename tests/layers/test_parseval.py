"""Parseval: the retraction of the paper as a step on demand; 1-Lipschitz before, between and after steps."""

from __future__ import annotations

import pytest
import torch
from tests.layers.conv_grid import case_name, largest_gain, randomised, sampled_cases
from tests.layers.dense import singular_values

from onelip.layers import ParsevalConv2d, ParsevalLinear
from onelip.layers.parseval import parseval_step


@pytest.mark.parametrize("case", sampled_cases(20, seed=9), ids=case_name)
def test_norm_over_shapes_before_and_after_a_step(case):
    layer = randomised(ParsevalConv2d, case)
    for _ in range(2):
        norm, bound = largest_gain(layer, case), layer.lipschitz_bound()
        assert norm <= 1 + 1e-10
        assert norm <= bound.value <= 1.02
        assert bound.proved
        assert layer.project_() == 1


@pytest.mark.parametrize("shape", [(3, 5), (5, 3), (4, 4)])
@pytest.mark.parametrize("beta", [0.01, 0.5])
def test_step_is_that_of_the_paper(shape, beta):
    w = torch.randn(shape, dtype=torch.float64)
    w = w / torch.linalg.matrix_norm(w, 2)
    found = parseval_step(w, beta)
    torch.testing.assert_close(found, (1 + beta) * w - beta * w @ w.T @ w)
    before, after = torch.linalg.svdvals(w), torch.linalg.svdvals(found)
    torch.testing.assert_close(after, before * (1 + beta - beta * before**2))
    assert bool((after >= before - 1e-12).all())
    assert float(after[0]) <= 1 + 1e-12


@pytest.mark.parametrize("sizes", [(6, 4), (4, 6), (5, 5)])
def test_steps_lead_to_a_tight_frame(sizes):
    layer = ParsevalLinear(*sizes, dtype=torch.float64)
    with torch.no_grad():
        layer.raw_weight.copy_(3 * torch.randn_like(layer.raw_weight))
    assert layer.project_(steps=40) == 40
    torch.testing.assert_close(singular_values(layer, (sizes[0],)), torch.ones(min(sizes), dtype=torch.float64))


def test_steps_of_convolutions_are_on_the_reshaped_kernel():
    layer = ParsevalConv2d(4, 6, 3, groups=2, dtype=torch.float64)
    with torch.no_grad():
        layer.raw_weight.copy_(torch.randn_like(layer.raw_weight))
    layer.project_(steps=40)
    for group in layer.raw_weight.detach().flatten(1).chunk(2):
        torch.testing.assert_close(group @ group.T, torch.eye(3, dtype=torch.float64), atol=1e-6, rtol=0)


def test_never_longer_than_one_between_steps():
    layer = ParsevalLinear(8, 8)
    optimizer = torch.optim.SGD(layer.parameters(), 10.0)
    x = torch.randn(16, 8)
    for _ in range(3):
        optimizer.zero_grad()
        (-layer(x).square().mean()).backward()
        optimizer.step()
        for training in (True, False):
            weight = layer.train(training).weight.detach()
            assert float(torch.linalg.matrix_norm(weight, 2)) <= 1 + 1e-6
        layer.train().project_(beta=0.1)


def test_short_weights_and_zero_are_kept():
    layer, short = ParsevalLinear(4, 3), 0.1 * torch.randn(3, 4)
    layer.weight = short
    assert torch.equal(layer.weight, short)
    with torch.no_grad():
        layer.raw_weight.zero_()
    layer.project_()
    assert not layer.weight.any()


@pytest.mark.parametrize(
    ("name", "value"), [("beta", 0.0), ("beta", 0.6), ("beta", float("nan")), ("steps", 0), ("steps", 1.5)]
)
def test_bad_arguments(name, value):
    with pytest.raises(ValueError, match=rf"{name}=.* in ParsevalLinear.project_"):
        ParsevalLinear(4, 4).project_(**{name: value})
