"""Lookahead against the paper's pseudo-code, and as a wrapper of anything."""

import copy

import numpy as np
import pytest
import torch
from tests.optim.problems import (
    advance,
    assert_leaves_parameters_without_gradient,
    assert_resumes_exactly,
    gradient_of,
    parameters,
)

from onelip import layers
from onelip.layers.orthogonal_block import is_trusted
from onelip.optim import Lookahead, ManifoldAdam

SHAPES = ((3, 4), (2,))


def make(of):
    return Lookahead(torch.optim.NAdam(of, lr=0.05), k=3, alpha=0.4)


def test_is_the_pseudo_code_over_sgd():
    (p,) = parameters((4,))
    fast = p.detach().numpy().copy()
    slow, k, alpha, lr = fast.copy(), 3, 0.3, 0.1
    optimizer = Lookahead(torch.optim.SGD([p], lr=lr), k=k, alpha=alpha)
    for i in range(10):
        p.grad = gradient_of(p, i)
        optimizer.step()
        noise = torch.randn(4, generator=torch.Generator().manual_seed(i), dtype=torch.float64).numpy()
        fast = fast - lr * (0.5 * fast + noise)
        if (i + 1) % k == 0:
            slow = slow + alpha * (fast - slow)
            fast = slow.copy()
        np.testing.assert_allclose(p.detach().numpy(), fast, atol=1e-14)


def test_contracts_a_quadratic_as_in_closed_form():
    """On x^2 / 2 with rate r a cycle multiplies x by 1 - alpha + alpha (1 - r)^k."""
    p = torch.nn.Parameter(torch.ones(1, dtype=torch.float64))
    optimizer = Lookahead(torch.optim.SGD([p], lr=0.2), k=5, alpha=0.5)
    for _ in range(15):
        p.grad = p.detach().clone()
        optimizer.step()
    assert p.item() == pytest.approx((0.5 + 0.5 * 0.8**5) ** 3)


def test_resumes_exactly():
    assert_resumes_exactly(make, SHAPES)


def test_leaves_parameters_without_gradient():
    assert_leaves_parameters_without_gradient(make, SHAPES)


def test_schedules_reach_the_inner_optimiser_also_after_loading():
    of = parameters(*SHAPES)
    optimizer = Lookahead(torch.optim.SGD([{"params": of[:1]}, {"params": of[1:], "lr": 2.0}], lr=1.0))
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 0.5**step)
    advance(optimizer, of, range(1))
    scheduler.step()
    assert [group["lr"] for group in optimizer.inner.param_groups] == [0.5, 1.0]
    optimizer.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    scheduler.step()
    assert [group["lr"] for group in optimizer.inner.param_groups] == [0.25, 0.5]


def test_groups_can_be_added():
    of = parameters(*SHAPES)
    optimizer = Lookahead(torch.optim.SGD(of[:1], lr=0.5), k=2)
    advance(optimizer, of[:1], range(1))
    optimizer.add_param_group({"params": of[1:]})
    assert optimizer.inner.param_groups[1]["lr"] == 0.5
    before = of[1].detach().clone()
    advance(optimizer, of, range(1, 3))
    assert not torch.equal(of[1], before)


def test_closures_are_passed_on():
    (p,) = parameters((2,))

    def closure():
        p.grad = p.detach().clone()
        return 7.0

    assert Lookahead(torch.optim.SGD([p], lr=0.1)).step(closure) == 7.0


def test_keeps_orthogonal_matrices_orthogonal():
    layer = layers.linear("bjorck", 6, 6)
    optimizer = Lookahead(ManifoldAdam.for_model(layer, lr=0.1, every=1), k=2)
    advance(optimizer, list(layer.parameters()), range(2))
    assert is_trusted(layer.raw_weight)
    assert torch.linalg.svdvals(layer.raw_weight.detach().double()).sub(1).abs().max() < 1e-6


@pytest.mark.parametrize(("option", "value"), [("k", 0), ("k", 1.5), ("alpha", 0.0), ("alpha", 1.5)])
def test_refuses(option, value):
    with pytest.raises(ValueError, match=f"{option}={value}"):
        Lookahead(torch.optim.SGD(parameters((2,)), lr=1.0), **{option: value})
