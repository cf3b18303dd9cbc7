import numpy as np
import pytest
import torch
import torch.nn.functional as F
from tests.certify.paranoid.balls import middle, step

from onelip.certify.checker.errors import VerificationError
from onelip.certify.checker.operations import JOINS as CHECKED_JOINS
from onelip.certify.paranoid.balls import exact
from onelip.certify.paranoid.constants import _RULES
from onelip.certify.paranoid.operations import JOINS, OPERATIONS

X = np.random.default_rng(0).standard_normal((2, 4, 4, 6))
T = torch.from_numpy(X)
MEAN, STD = np.arange(4) / 8, np.arange(1, 5) / 4

CASES = [
    ("pixel_unshuffle", {"block": [2, 2]}, {}, F.pixel_unshuffle(T, 2)),
    ("pixel_shuffle", {"block": [2, 2]}, {}, F.pixel_shuffle(T, 2)),
    ("channel_pad", {"channels": 6}, {}, F.pad(T, (0, 0, 0, 0, 0, 2))),
    ("channel_shuffle", {"axis": 0, "groups": [2, 2]}, {}, T[:, [0, 2, 1, 3]]),
    ("zero_pad2d", {"pads": [1, -1, -2, 0]}, {}, F.pad(T, (-2, 0, 1, -1))),
    ("slice", {"axis": 2, "start": 1, "stop": 4}, {}, T[..., 1:4]),
    ("reshape", {"shape": [8, 12]}, {}, T.reshape(2, 8, 12)),
    ("permute", {"axes": [1, 2, 0]}, {}, T.permute(0, 2, 3, 1)),
    ("normalize", {}, {"mean": MEAN, "std": STD}, (X - MEAN[:, None, None]) / STD[:, None, None]),
    (
        "batch_norm", {"eps": 0.25}, {"mean": MEAN, "variance": STD, "weight": MEAN, "bias": STD},
        F.batch_norm(T, *map(torch.from_numpy, (MEAN, STD, MEAN, STD)), eps=0.25),
    ),
    ("center", {"axes": [0, 2]}, {"bias": STD}, X - X.mean((1, 3), keepdims=True) + STD[:, None, None]),
    ("scale", {"factor": 0.3}, {}, 0.3 * X),
    ("shift", {}, {"value": X[0]}, X + X[0]),
]  # fmt: skip


@pytest.mark.parametrize(("op", "attributes", "arrays", "expected"), CASES, ids=[c[0] for c in CASES])
def test_values(op, attributes, arrays, expected):
    found = OPERATIONS[op](step(op, attributes, **arrays), exact(X))
    assert np.allclose(middle(found), np.asarray(expected), rtol=0, atol=1e-14)


def test_joins():
    a, b = exact(X), exact(2 * X)
    assert np.allclose(middle(JOINS["add"](step("add"), [a, b, b])), 5 * X, rtol=0, atol=1e-14)
    assert np.array_equal(middle(JOINS["subtract"](step("subtract"), [a, b])), -X)
    joined = JOINS["concatenate"](step("concatenate", {"axis": 0}), [a, b])
    assert np.array_equal(middle(joined), np.concatenate([X, 2 * X], 1))
    assert np.array_equal(middle(JOINS["maximum"](step("maximum"), [a, b])), np.maximum(X, 2 * X))
    assert np.array_equal(middle(JOINS["minimum"](step("minimum"), [a, b])), np.minimum(X, 2 * X))
    with pytest.raises(VerificationError, match="different shapes"):
        JOINS["add"](step("add"), [a, b[:, :1]])
    assert set(JOINS) == set(CHECKED_JOINS)


def test_every_operation_has_a_constant():
    assert set(OPERATIONS) == set(_RULES)


@pytest.mark.parametrize(
    ("op", "attributes", "arrays"),
    [
        ("channel_pad", {"channels": 3}, {}),
        ("slice", {"axis": 2, "start": 4, "stop": 9}, {}),
        ("normalize", {}, {"mean": [1.0], "std": [1.0]}),
        ("center", {"axes": [0, 0]}, {}),
        ("shift", {}, {"value": [1.0]}),
        ("zero_pad2d", {"pads": [-4, 0, 0, 0]}, {}),
    ],
)
def test_shapes_are_checked(op, attributes, arrays):
    with pytest.raises(VerificationError, match="does not fit"):
        OPERATIONS[op](step(op, attributes, **arrays), exact(X))
