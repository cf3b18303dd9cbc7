import numpy as np
import pytest

from onelip.certify.checker.errors import VerificationError
from onelip.certify.checker.network import Step
from onelip.certify.checker.scales import SCALE_CONSTANTS, SCALES

X = np.random.default_rng(0).standard_normal((2, 3, 4))


def step(op, value):
    return Step("s", op, ("input",), {}, {"value": np.array(value, dtype=np.float64)}, 1.0, None)


def test_products_and_quotients():
    value = [[2.0], [-3.0], [0.5]]
    y, error = SCALES["multiply"](step("multiply", value), X)
    assert np.array_equal(y, X * np.array(value))
    assert (error > 0).all()
    assert np.array_equal(SCALES["divide"](step("divide", value), X)[0], X / np.array(value))
    assert SCALE_CONSTANTS["multiply"](step("multiply", value), X.shape) == 3
    assert 2 <= SCALE_CONSTANTS["divide"](step("divide", value), X.shape) <= 2 * (1 + 1e-15)


@pytest.mark.parametrize("bad", [[1.0, 2, 3, 4], [[1.0] * 3], [[1.0] * 5], [[[1.0]]]])
def test_what_does_not_broadcast_is_refused(bad):
    for op in SCALES:
        with pytest.raises(VerificationError, match="value of shape"):
            SCALES[op](step(op, bad), X)


def test_dividing_by_zero_is_refused():
    for function in (SCALES["divide"], lambda s, x: SCALE_CONSTANTS["divide"](s, x.shape)):
        with pytest.raises(VerificationError, match="divides by zero"):
            function(step("divide", [[0.0, 1, 1, 1]]), X)
