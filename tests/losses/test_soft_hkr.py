"""Soft hinge-KR loss against values by hand, and its moving average."""

import copy
import math

import pytest
import torch
from tests.losses.by_hand import value

from onelip import losses


def test_by_hand():
    # mean |z| = 1 leaves the average at 1, so tau = 1 and the wrong classes weigh e / (e + 1) and 1 / (e + 1).
    # Terms at alpha = 1/2 of s = 2, -1, 0: -1, (3/2 + 1) / 2, 1/4.
    expected = -1 + (1.25 * math.e + 0.25) / (math.e + 1)
    assert value("soft-hkr", [[2.0, 1.0, 0.0]], [0], alpha=0.5) == pytest.approx(expected)


def test_temperature_and_margin_by_hand():
    # margin 2 starts the average at 2; mean |z| = 1 makes it 1.99, and below the margin it counts as 2: tau = t.
    # Hinges at 1 of s = 2, -1, 0 weigh alpha = 1: 0, 2, 1.
    found = value("soft-hkr", [[2.0, 1.0, 0.0]], [0], alpha=1.0, margin=2.0, temperature=3.0)
    assert found == pytest.approx((2 * math.exp(3) + 1) / (math.exp(3) + 1))


def test_the_average_moves_in_training_and_rests_in_eval():
    loss = losses.build("soft-hkr")
    logits, labels = torch.tensor([[11.0, 0.0, 4.0]]), torch.tensor([0])
    loss(logits, labels)
    # 0.99 + 0.01 * 5.
    assert loss.mean_size.item() == pytest.approx(1.04)
    first = loss.eval()(logits, labels)
    assert torch.equal(loss(logits, labels), first)
    assert loss.mean_size.item() == pytest.approx(1.04)
    # tau = 1 / 1.04 on the wrong logits 0 and 4; s = 11, 0, -4 at alpha = 0.9: -1.1, 0.45, 0.9 * 4.5 + 0.1 * 4.
    power = math.exp(4 / 1.04)
    assert first.item() == pytest.approx(-1.1 + (0.45 + 4.45 * power) / (1 + power))


def test_the_average_is_state():
    loss = losses.build("soft-hkr", decay=0.5)
    loss(torch.full((2, 3), 9.0), torch.tensor([0, 1]))
    assert {name: v.item() for name, v in loss.state_dict().items()} == {"mean_size": 5.0}
    fresh = losses.build("soft-hkr", decay=0.5)
    fresh.load_state_dict(loss.state_dict())
    assert fresh.mean_size.item() == copy.deepcopy(loss).mean_size.item() == 5.0
    assert loss.to("meta").mean_size.device.type == "meta"


def test_extreme_sizes_are_cut_off():
    loss = losses.build("soft-hkr", decay=0.0)
    loss(torch.full((2, 3), 1e9), torch.tensor([0, 1]))
    assert loss.mean_size.item() == 1000.0
    loss(torch.zeros(2, 3), torch.tensor([0, 1]))
    assert loss.mean_size.item() == pytest.approx(0.005)
