"""The loss of L2-nonexpansive networks against values by hand, its limit and its gradient."""

import math

import pytest
import torch
from tests.losses.by_hand import value

from onelip import losses


def test_by_hand():
    # Logits (1, 0) at v = 2, g = 3, c = 1/2.
    entropy = math.log1p(math.exp(-2))
    gap = math.log(1 - 1 / (1 + math.exp(-3))) / 3
    found = value("confidence-gap", [[1.0, 0.0]], [0], scale=2.0, gap_scale=3.0, gap_weight=0.5)
    assert found == pytest.approx(entropy + 0.5 * gap)


def test_without_the_gap_it_is_the_cross_entropy():
    batch = torch.randn(7, 4, dtype=torch.float64), torch.arange(7) % 4
    ours = losses.build("confidence-gap", scale=2.0, gap_weight=0.0)(*batch)
    torch.testing.assert_close(ours, torch.nn.functional.cross_entropy(2 * batch[0], batch[1]))


@pytest.mark.parametrize("lead", [5.0, 100.0, 1000.0])
def test_large_leads_are_rewarded_one_to_one(lead):
    # A cross-entropy alone has nothing left to gain here, and softmax rounds to 1.
    found = value("confidence-gap", [[lead, 0.0, -1.0]], [0], gap_scale=10.0)
    assert found == pytest.approx(-lead, abs=1e-3)


def test_trailing_samples_are_given_up():
    loss = losses.build("confidence-gap", scale=1e-6)
    slopes = []
    for lead in (3.0, -3.0):
        z = torch.tensor([[lead, 0.0]], requires_grad=True)
        loss(z, torch.tensor([0])).backward()
        slopes.append(float(z.grad[0, 0]))
    assert slopes[0] == pytest.approx(-1, abs=1e-3)
    assert slopes[1] == pytest.approx(0, abs=1e-3)


def test_gradient():
    z = torch.randn(5, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda z: losses.build("confidence-gap")(z, torch.tensor([0, 1, 2, 3, 0])), (z,))
