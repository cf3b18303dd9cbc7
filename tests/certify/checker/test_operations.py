import numpy as np
import pytest
import torch
import torch.nn.functional as F

from onelip.certify.checker.errors import VerificationError
from onelip.certify.checker.network import Step
from onelip.certify.checker.operations import JOINS, RULES

X = np.random.default_rng(0).standard_normal((2, 4, 6, 6))


def step(op, arrays=None, **attributes):
    return Step("s", op, ("input",), attributes, arrays or {}, 1.0, None)


def run(op, x=X, arrays=None, **attributes):
    return RULES[op](step(op, arrays, **attributes), x)[0]


def test_against_torch():
    t = torch.from_numpy(X)
    assert np.array_equal(run("pixel_unshuffle", block=[2, 2]), F.pixel_unshuffle(t, 2))
    assert np.array_equal(run("pixel_shuffle", block=[2, 2]), F.pixel_shuffle(t, 2))
    assert np.array_equal(run("permute", axes=[2, 0, 1]), t.permute(0, 3, 1, 2))
    assert np.array_equal(run("slice", axis=1, start=2, stop=5), t[:, :, 2:5])
    assert np.array_equal(run("zero_pad2d", pads=[1, -2, -1, 3]), F.pad(t, (-1, 3, 1, -2)))
    assert np.array_equal(run("reshape", shape=[144]), t.flatten(1))
    assert np.array_equal(run("scale", factor=0.3), t * 0.3)
    assert np.array_equal(run("channel_shuffle", axis=0, groups=[2, 2]), F.channel_shuffle(t, 2))
    assert np.array_equal(run("channel_pad", channels=7)[:, 4:], np.zeros((2, 3, 6, 6)))


def test_statistics_by_hand():
    arrays = {k: np.array(v) for k, v in {"mean": [1.0], "variance": [3.0], "weight": [4.0], "bias": [-1.0]}.items()}
    assert run("batch_norm", np.array([[3.0]]), arrays, eps=1.0).tolist() == [[3.0]]
    assert run("normalize", np.array([[3.0]]), {"mean": np.array([1.0]), "std": np.array([4.0])}).tolist() == [[0.5]]


def test_centring_by_hand():
    x = np.array([[[1.0, 3.0], [2.0, 6.0]]])
    y, error = RULES["center"](step("center", {"bias": np.array([0.5, -1.0])}, axes=[1]), x)
    assert y.tolist() == [[[-0.5, 1.5], [-3.0, 1.0]]]
    assert (error > 0).all()


def test_shuffled_parts_of_two_channels():
    x = np.arange(8.0)[None]
    assert run("channel_shuffle", x, axis=0, groups=[2, 2]).tolist() == [[0, 1, 4, 5, 2, 3, 6, 7]]


def test_joins():
    joined = JOINS["concatenate"](step("concatenate", axis=0), [X, X])[0]
    assert joined.shape == (2, 8, 6, 6)
    total, error = JOINS["add"](step("add"), [X, X, X])
    assert np.allclose(total, 3 * X)
    assert (error > 0).all()
    assert not JOINS["subtract"](step("subtract"), [X, X])[0].any()
    assert np.array_equal(JOINS["maximum"](step("maximum"), [X, -X])[0], np.abs(X))
    assert np.array_equal(JOINS["minimum"](step("minimum"), [X, -X])[0], -np.abs(X))
    with pytest.raises(VerificationError, match="different shapes"):
        JOINS["add"](step("add"), [X, X[:, :1]])


@pytest.mark.parametrize(
    ("op", "arrays", "attributes"),
    [
        ("slice", {}, {"axis": 0, "start": 3, "stop": 9}),
        ("slice", {}, {"axis": 0, "start": 2, "stop": 2}),
        ("permute", {}, {"axes": [0, 0, 1]}),
        ("channel_pad", {}, {"channels": 2}),
        ("channel_shuffle", {}, {"axis": 0, "groups": [2, 3]}),
        ("center", {}, {"axes": []}),
        ("center", {}, {"axes": [1, 1]}),
        ("center", {}, {"axes": [3]}),
        ("center", {"bias": np.zeros(3)}, {"axes": [1, 2]}),
        ("normalize", {"mean": np.zeros(1), "std": np.ones(1)}, {}),
        ("shift", {"value": np.zeros(1)}, {}),
        ("scale", {}, {"factor": "2"}),
        ("zero_pad2d", {}, {"pads": [-6, 0, 0, 0]}),
        ("reshape", {}, {"shape": [2, 71]}),
    ],
)
def test_what_does_not_fit_is_refused(op, arrays, attributes):
    with pytest.raises(VerificationError, match="'s'"):
        run(op, X, arrays, **attributes)
