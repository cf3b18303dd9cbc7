"""Logit annealing against values by hand."""

import math

import pytest
import torch
from tests.losses.by_hand import value

from onelip import losses


def test_by_hand():
    # (z - xi e_y) / T = (4, 0).
    p = 1 / (1 + math.exp(-4))
    expected = -0.5 * (1 - p) ** 2 * math.log(p)
    found = value("logit-annealing", [[3.0, 0.0]], [0], margin=1.0, temperature=0.5, beta=2.0)
    assert found == pytest.approx(expected)


def test_defaults_by_hand():
    # Zero logits of two classes: p = 1 / (1 + exp(2 / 0.75)).
    p = 1 / (1 + math.exp(2 / 0.75))
    assert value("logit-annealing", [[0.0, 0.0]], [1]) == pytest.approx(-0.75 * (1 - p) ** 5 * math.log(p))


def test_with_beta_zero_it_is_the_offset_cross_entropy():
    batch = torch.randn(7, 4, dtype=torch.float64), torch.arange(7) % 4
    ours = losses.build("logit-annealing", margin=0.3, temperature=0.4, beta=0.0)(*batch)
    torch.testing.assert_close(ours, losses.build("offset-cross-entropy", margin=0.3, temperature=0.4)(*batch))


def test_it_lets_go_of_samples_with_their_margin():
    far, near = ([[lead, 0.0]] for lead in (8.0, 4.0))
    ratio = value("logit-annealing", far, [0]) / value("logit-annealing", near, [0])
    plain = value("logit-annealing", far, [0], beta=0.0) / value("logit-annealing", near, [0], beta=0.0)
    assert ratio < 1e-6 * plain


def test_exponents_of_infinite_slope_are_refused():
    with pytest.raises(ValueError, match=r"beta=0.5 in LogitAnnealing must be 0 or at least 1"):
        losses.build("logit-annealing", beta=0.5)
