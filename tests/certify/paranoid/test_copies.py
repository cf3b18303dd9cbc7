import math

import numpy as np
import pytest
from flint import arb
from tests.certify.paranoid.balls import middle, step

from onelip.certify.checker.errors import VerificationError
from onelip.certify.paranoid.balls import exact
from onelip.certify.paranoid.copies import COPIES, COPY_CONSTANTS, gather_copies, put_terms, take_copies

X = np.random.default_rng(0).standard_normal((2, 3, 4))

CASES = [
    ("gather", {"axes": [1, 0], "indices": [[3, -1, 3, 0], [2, 2, 2]], "fill": 0.5}, {}, math.sqrt(6)),
    ("take", {"shape": [2, 3], "fill": -2.0}, {"index": [0, 11, 11, -1, 11, 2]}, math.sqrt(3)),
    ("put", {"shape": [5]}, {"index": [0, 1, 2, 3, 4, 4, 4, -1, -1, 0, 1, 1]}, math.sqrt(3)),
    ("multiply", {}, {"value": [[0.5], [-3.0], [1.0]]}, 3.0),
    ("divide", {}, {"value": [[0.5, -0.25, 1.0, 8.0]]}, 4.0),
]


def expected(op, attributes, arrays):
    if op == "gather":
        y = X[..., [3, 0, 3, 0]]
        y[..., 1] = 0.5
        return y[:, [2, 2, 2]]
    if op == "take":
        y = X.reshape(2, -1)[:, [0, 11, 11, 0, 11, 2]]
        y[:, 3] = -2
        return y.reshape(2, 2, 3)
    if op == "put":
        y = np.zeros((2, 5))
        for place, target in enumerate(arrays["index"]):
            if target >= 0:
                y[:, target] += X.reshape(2, -1)[:, place]
        return y
    return X * np.array(arrays["value"]) if op == "multiply" else X / np.array(arrays["value"])


@pytest.mark.parametrize(("op", "attributes", "arrays", "constant"), CASES, ids=[c[0] for c in CASES])
def test_values_and_constants(op, attributes, arrays, constant):
    given = step(op, attributes, **arrays)
    found = COPIES[op](given, exact(X))
    assert np.allclose(middle(found), expected(op, attributes, arrays), rtol=0, atol=1e-15)
    bound = COPY_CONSTANTS[op](given, X.shape)
    assert abs(float(bound.mid()) - constant) < 1e-14
    # The norm of the linear part, column by column.
    basis = np.concatenate([np.zeros((1, 12)), np.eye(12)]).reshape(13, 3, 4)
    images = middle(COPIES[op](given, exact(basis))).reshape(13, -1)
    assert abs(np.linalg.norm(images[1:] - images[0], 2) - constant) < 1e-14


def test_counts():
    gather, take, put = (step(op, attributes, **arrays) for op, attributes, arrays, _ in CASES[:3])
    assert (gather_copies(gather, X.shape), take_copies(take, X.shape), put_terms(put, X.shape)) == (6, 3, 3)
    nothing = step("take", {"shape": [2], "fill": 0.0}, index=[-1, -1])
    assert COPY_CONSTANTS["take"](nothing, X.shape) == arb(0)


@pytest.mark.parametrize(
    ("op", "attributes", "arrays"),
    [
        ("gather", {"axes": [1], "indices": [[4]], "fill": 0.0}, {}),
        ("gather", {"axes": [1], "indices": [[-2]], "fill": 0.0}, {}),
        ("gather", {"axes": [1, 1], "indices": [[0], [0]], "fill": 0.0}, {}),
        ("gather", {"axes": [0], "indices": [[True]], "fill": 0.0}, {}),
        ("take", {"shape": [1], "fill": 0.0}, {"index": [12]}),
        ("take", {"shape": [1], "fill": 0.0}, {"index": [0.5]}),
        ("put", {"shape": [1]}, {"index": [0]}),
        ("multiply", {}, {"value": [2.0]}),
        ("divide", {}, {"value": [[0.0]]}),
    ],
)
def test_nonsense_is_refused(op, attributes, arrays):
    with pytest.raises(VerificationError, match="does not fit"):
        COPIES[op](step(op, attributes, **arrays), exact(X))
