"""Derivatives and values against mpmath; the checker's constants are those of the largest derivatives."""

import mpmath
import numpy as np
import pytest

from onelip.certify.checker.elementwise import ELEMENTWISE, ELEMENTWISE_CONSTANTS, FUNCTIONS
from onelip.certify.checker.errors import VerificationError
from onelip.certify.checker.network import Step

OPTIONS = {
    "clip": {"low": -1.0, "high": 2.0},
    "elu": {"alpha": 1.5, "width": 0.5, "scale": 1.25},
    "soft_shrink": {"amount": 0.5},
    "softplus": {"beta": -2.0, "threshold": 30.0},
}
X = np.concatenate([np.linspace(-9, 9, 721), [1e-300, -745.0, 745.0, 1e200, -1e200]])[:, None]


def step(op, **attributes):
    return Step("s", op, ("input",), OPTIONS.get(op, {}) | attributes, {}, 1.0, None)


@pytest.mark.parametrize("op", FUNCTIONS)
def test_slopes_of_values_are_below_the_constant_and_reach_it(op):
    # The squares of the largest points overflow in their norms.
    with np.errstate(over="ignore"):
        y, error = ELEMENTWISE[op](step(op), X)
    assert np.isfinite(y).all()
    y, error = y[:-2], error[:-2]
    slopes = np.abs(np.diff(y[:721, 0]) / np.diff(X[:721, 0]))
    constant = ELEMENTWISE_CONSTANTS[op](step(op), (1, 1))
    assert slopes.max() <= constant * (1 + 1e-12)
    assert constant <= slopes.max() * 1.03
    assert (error <= 1e-13 * (np.abs(X[:-2]) + np.abs(y) + 1)[:, 0]).all()


@pytest.mark.parametrize(
    ("op", "exact"),
    [
        ("gelu", lambda v: v * mpmath.erfc(-v / mpmath.sqrt(2)) / 2),
        ("mish", lambda v: v * mpmath.tanh(max(v, 0) + mpmath.log1p(mpmath.exp(-abs(v))))),
        ("log_sigmoid", lambda v: -(max(-v, 0) + mpmath.log1p(mpmath.exp(-abs(v))))),
        ("tanh_shrink", lambda v: v - mpmath.tanh(v)),
    ],
)
def test_errors_against_high_precision(op, exact):
    points = X[:724:12]
    y, error = ELEMENTWISE[op](step(op), points)
    with mpmath.workdps(400):
        pairs = zip(y[:, 0].tolist(), points[:, 0].tolist(), strict=True)
        off = [abs(mpmath.mpf(a) - exact(mpmath.mpf(v))) for a, v in pairs]
        assert all(o <= mpmath.mpf(e) + mpmath.mpf(2) ** -1000 for o, e in zip(off, error.tolist(), strict=True))


def test_softmax():
    x = np.array([[0.0, 800.0, -800.0], [1.0, 2.0, 3.0]])
    y, error = ELEMENTWISE["softmax"](step("softmax", axis=0), x)
    assert np.allclose(y.sum(1), 1, rtol=1e-15)
    assert np.allclose(ELEMENTWISE["log_softmax"](step("log_softmax", axis=0), x)[0][1], np.log(y[1]), rtol=1e-14)
    assert (error < 1e-11).all()
    assert ELEMENTWISE_CONSTANTS["softmax"](step("softmax", axis=0), (1, 3)) == 0.5
    assert ELEMENTWISE_CONSTANTS["log_softmax"](step("log_softmax", axis=0), (1, 4)) == pytest.approx(2, rel=1e-15)


@pytest.mark.parametrize(
    "bad",
    [
        step("softplus", beta=0.0), step("softplus", threshold=5.0), step("elu", width=-1.0), step("elu", width=0.0),
        step("soft_shrink", amount=-1.0), step("softmax", axis=1), step("clip", low="0"),
    ],
)  # fmt: skip
def test_options_that_make_it_jump_are_refused(bad):
    with pytest.raises(VerificationError, match="'s'"):
        ELEMENTWISE[bad.op](bad, X)
