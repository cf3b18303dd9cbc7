import numpy as np
import pytest

from onelip.certify.checker.copies import COPIES, COPY_CONSTANTS
from onelip.certify.checker.errors import VerificationError
from onelip.certify.checker.network import Step

X = np.random.default_rng(0).standard_normal((2, 3, 4))


def step(op, index=None, **attributes):
    arrays = {} if index is None else {"index": np.array(index, dtype=np.float64)}
    return Step("s", op, ("input",), attributes, arrays, 1.0, None)


def dense(operation, shape=(3, 4)):
    basis = np.eye(int(np.prod(shape))).reshape(-1, *shape)
    return COPIES[operation.op](operation, basis)[0].reshape(len(basis), -1).T


@pytest.mark.parametrize(
    "operation",
    [
        step("gather", axes=[1, 0], indices=[[0, 0, 3, -1], [2, 2, 2, 1]], fill=0.0),
        step("take", [0, 0, 5, 11, -1, 0], shape=[2, 3], fill=0.0),
        step("put", [0, 1, 1, 1, -1, 4, 0, 2, 3, 3, 3, 3], shape=[5]),
    ],
    ids=lambda s: s.op,
)
def test_constants_are_the_norms(operation):
    constant = COPY_CONSTANTS[operation.op](operation, (1, 3, 4))
    assert constant == pytest.approx(np.linalg.norm(dense(operation), 2), rel=1e-12)
    assert constant >= np.linalg.norm(dense(operation), 2) * (1 - 1e-14)


def test_values_by_hand():
    y = COPIES["gather"](step("gather", axes=[1], indices=[[3, -1]], fill=9.0), X)[0]
    assert np.array_equal(y, np.stack([X[..., 3], np.full((2, 3), 9.0)], -1))
    y = COPIES["take"](step("take", [5, -1], shape=[1, 2], fill=-1.0), X)[0]
    assert np.array_equal(y[:, 0], np.stack([X[:, 1, 1], np.full(2, -1.0)], -1))
    y, error = COPIES["put"](step("put", [0] * 12, shape=[1]), X)
    assert np.allclose(y[:, 0], X.sum((1, 2)))
    assert (error > 0).all()


@pytest.mark.parametrize(
    "bad",
    [
        step("gather", axes=[1], indices=[[4]], fill=0.0), step("gather", axes=[1], indices=[[-2]], fill=0.0),
        step("gather", axes=[1], indices=[[0.0]], fill=0.0), step("gather", axes=[2], indices=[[0]], fill=0.0),
        step("gather", axes=[0, 0], indices=[[0], [0]], fill=0.0), step("gather", axes=[0], indices=[[]], fill=0.0),
        step("gather", axes=[0], indices=[], fill=0.0), step("gather", axes=[0], indices=[[0]], fill="0"),
        step("take", [0, 12], shape=[2], fill=0.0), step("take", [0, 0.5], shape=[2], fill=0.0),
        step("take", [0], shape=[2], fill=0.0), step("take", [-2, 0], shape=[2], fill=0.0),
        step("put", [0] * 11, shape=[1]), step("put", [1] * 12, shape=[1]),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(bad):
    with pytest.raises(VerificationError, match="'s'"):
        COPIES[bad.op](bad, X)
