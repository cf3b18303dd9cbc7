"""Polynomials of modulus one on the imaginary axis."""

from __future__ import annotations

import cmath

import numpy as np
import pytest
import scipy.linalg
import scipy.special

from onelip.linalg.unit_polynomial import unit_polynomial


@pytest.mark.parametrize("degree", range(1, 13))
@pytest.mark.parametrize("deviation", [1e-6, 4e-5, 1e-2])
def test_modulus_is_the_equal_ripple(degree: int, deviation: float) -> None:
    t = np.linspace(-1, 1, 501)
    values = np.abs(np.polyval(unit_polynomial(degree, deviation)[::-1], 1j * t)) ** 2
    expected = 1 - deviation + deviation * scipy.special.eval_chebyt(degree, 2 * t**2 - 1)
    np.testing.assert_allclose(values, expected, atol=1e-8 if degree > 8 else 1e-11)
    assert values.max() <= 1 + 1e-8
    assert values.min() >= 1 - 2 * deviation - 1e-8


def test_turns_as_the_docstring_says() -> None:
    turns = [np.degrees(cmath.phase(np.polyval(unit_polynomial(n, 2.5e-5)[::-1], 1j))) for n in (2, 3, 4, 5)]
    np.testing.assert_allclose(turns, [9.65, 35.05, 73.64, 121.6], atol=0.05)


def test_skew_matrix_becomes_a_rotation() -> None:
    a = np.random.default_rng(0).normal(size=(9, 9))
    a = (a - a.T) / np.linalg.norm(a - a.T, 2)
    p = sum(c * np.linalg.matrix_power(a, j) for j, c in enumerate(unit_polynomial(3, 2.5e-5)))
    rotation = scipy.linalg.polar(p)[0]
    # It is the exponential of a skew matrix that commutes with A.
    log = scipy.linalg.logm(rotation)
    np.testing.assert_allclose(log, -log.T, atol=1e-12)
    np.testing.assert_allclose(log @ a, a @ log, atol=1e-12)
    assert np.linalg.norm(p - rotation, 2) <= 2.6e-5
