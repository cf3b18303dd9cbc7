"""EMMA against values and gradients by hand."""

import math

import pytest
import torch
from tests.losses.by_hand import value

from onelip import losses
from onelip.losses.emma import emma_logits

CONSTANTS = [[0.0, 2.0, 1.0], [2.0, 0.0, 1.0], [1.0, 1.0, 0.0]]


def test_by_hand():
    # r = 1/2 gives m = (0, 1, 1/2). Class 1 is 1/2 behind, within reach: moved to 0. Class 2 is 4 behind, moved by m_2.
    expected = math.log(1 + 1 + math.exp(-3.5))
    assert value("emma", [[1.0, 0.5, -3.0]], [0], constants=CONSTANTS, radius=0.5) == pytest.approx(expected)
    halved = 0.5 * math.log(1 + 1 + math.exp(-7.0))
    found = value("emma", [[1.0, 0.5, -3.0]], [0], constants=CONSTANTS, radius=0.5, temperature=0.5)
    assert found == pytest.approx(halved)


def test_classes_that_win_move_by_a_hundredth_of_the_radius():
    # m = sqrt 2 r = 1 by default constants: d + 0.01 m = 1.01.
    assert value("emma", [[0.0, 1.0]], [0], radius=1 / math.sqrt(2)) == pytest.approx(math.log1p(math.exp(1.01)))


def test_radius_zero_is_the_cross_entropy():
    rows = [[1.0, 0.5, -3.0]]
    assert value("emma", rows, [1], radius=0.0) == pytest.approx(value("cross-entropy", rows, [1]))


def test_gradients_treat_the_shares_as_fixed():
    logits = torch.tensor([[1.0, 0.5, -3.0]], dtype=torch.float64, requires_grad=True)
    constants = torch.tensor(CONSTANTS, dtype=torch.float64, requires_grad=True)
    losses.build("emma", radius=0.5)(logits, torch.tensor([0]), constants).backward()
    # Softmax of (0, 0, -3.5) minus the label, though the moved logit 1 is 0 whatever the logits are.
    total = 2 + math.exp(-3.5)
    expected = torch.tensor([[1 / total - 1, 1 / total, math.exp(-3.5) / total]], dtype=torch.float64)
    torch.testing.assert_close(logits.grad, expected)
    # dm_j = r dL_0j, times the share: 1/2 of class 1, all of class 2.
    of_constants = torch.zeros(3, 3, dtype=torch.float64)
    of_constants[0, 1] = 0.5 * 0.5 / total
    of_constants[0, 2] = 0.5 * math.exp(-3.5) / total
    torch.testing.assert_close(constants.grad, of_constants)


def test_no_class_is_moved_beyond_the_right_one_or_the_radius():
    logits, labels = 3 * torch.randn(500, 5, dtype=torch.float64), torch.arange(500) % 5
    behind = logits - logits.gather(1, labels[:, None])
    moved = emma_logits(logits, labels, None, 0.7)
    reach = 0.7 * math.sqrt(2) * (torch.arange(5) != labels[:, None])
    far, near = behind < -reach, (behind >= -reach) & (behind <= -0.01 * reach)
    torch.testing.assert_close(moved[far], (behind + reach)[far])
    torch.testing.assert_close(moved[near], torch.zeros_like(moved[near]))
    torch.testing.assert_close(moved[~far & ~near], (behind + 0.01 * reach)[~far & ~near])
