"""Logit annealing on EMMA's logits against values by hand."""

import math

import pytest
from tests.losses.by_hand import value

CONSTANTS = [[0.0, 2.0, 1.0], [2.0, 0.0, 1.0], [1.0, 1.0, 0.0]]


def test_by_hand():
    # EMMA moves the logits to (0, 0, -3.5), as worked out in its own test; the label is lowered by 1.
    p = math.exp(-1) / (math.exp(-1) + 1 + math.exp(-3.5))
    options = {"constants": CONSTANTS, "radius": 0.5, "margin": 1.0, "temperature": 1.0}
    found = value("emma-logit-annealing", [[1.0, 0.5, -3.0]], [0], beta=1.0, **options)
    assert found == pytest.approx(-(1 - p) * math.log(p))


def test_with_beta_and_margin_zero_it_is_emma():
    rows, labels = [[1.0, 0.5, -3.0], [0.2, 0.1, 0.0]], [0, 2]
    found = value("emma-logit-annealing", rows, labels, margin=0.0, beta=0.0, constants=CONSTANTS, temperature=1.0)
    assert found == pytest.approx(value("emma", rows, labels, constants=CONSTANTS))


def test_without_a_radius_it_is_logit_annealing():
    rows, labels = [[1.0, 0.5, -3.0], [0.2, 0.1, 0.0]], [0, 2]
    expected = value("logit-annealing", rows, labels)
    assert value("emma-logit-annealing", rows, labels, radius=0.0) == pytest.approx(expected)
