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
    assert np.array_equal(run("relu"), F.relu(t))
    assert np.array_equal(run("abs"), t.abs())
    assert np.array_equal(run("leaky_relu", slope=-0.5), F.leaky_relu(t, -0.5))
    assert np.array_equal(run("pixel_unshuffle", block=[2, 2]), F.pixel_unshuffle(t, 2))
    assert np.array_equal(run("pixel_shuffle", block=[2, 2]), F.pixel_shuffle(t, 2))
    assert np.array_equal(run("permute", axes=[2, 0, 1]), t.permute(0, 3, 1, 2))
    assert np.array_equal(run("slice", axis=1, start=2, stop=5), t[:, :, 2:5])
    assert np.array_equal(run("zero_pad2d", pads=[1, -2, -1, 3]), F.pad(t, (-1, 3, 1, -2)))
    assert np.array_equal(run("reshape", shape=[144]), t.flatten(1))
    assert np.array_equal(run("scale", factor=0.3), t * 0.3)
    assert np.array_equal(run("channel_pad", channels=7)[:, 4:], np.zeros((2, 3, 6, 6)))


def test_maxmin_and_sorting_by_hand():
    x = np.array([[1.0, 5.0, 3.0, 2.0, 9.0]])
    assert run("maxmin", x, axis=0).tolist() == [[3, 5, 1, 2, 9]]
    assert run("group_sort", x[:, :4], axis=0, group_size=2).tolist() == [[1, 5, 2, 3]]


def test_householder_keeps_norms_and_sorts_at_a_right_angle():
    x = np.array([[2.0, 1.0], [1.0, 2.0]])
    y = run("householder", x, {"angle": np.array([np.pi / 2])}, axis=0)
    assert np.allclose(y, [[1, 2], [1, 2]])
    turned = run("householder", X, {"angle": np.array([0.3, -2.0])}, axis=0)
    assert np.allclose(np.linalg.norm(turned), np.linalg.norm(X), rtol=1e-14)


def test_statistics_by_hand():
    arrays = {k: np.array(v) for k, v in {"mean": [1.0], "variance": [3.0], "weight": [4.0], "bias": [-1.0]}.items()}
    assert run("batch_norm", np.array([[3.0]]), arrays, eps=1.0).tolist() == [[3.0]]
    assert run("normalize", np.array([[3.0]]), {"mean": np.array([1.0]), "std": np.array([4.0])}).tolist() == [[0.5]]


def test_joins():
    joined = JOINS["concatenate"](step("concatenate", axis=0), [X, X])[0]
    assert joined.shape == (2, 8, 6, 6)
    total, error = JOINS["add"](step("add"), [X, X, X])
    assert np.allclose(total, 3 * X)
    assert (error > 0).all()
    assert not JOINS["subtract"](step("subtract"), [X, X])[0].any()
    with pytest.raises(VerificationError, match="different shapes"):
        JOINS["add"](step("add"), [X, X[:, :1]])


@pytest.mark.parametrize(
    ("op", "arrays", "attributes"),
    [
        ("slice", {}, {"axis": 0, "start": 3, "stop": 9}),
        ("slice", {}, {"axis": 0, "start": 2, "stop": 2}),
        ("permute", {}, {"axes": [0, 0, 1]}),
        ("group_sort", {}, {"axis": 0, "group_size": 3}),
        ("channel_pad", {}, {"channels": 2}),
        ("householder", {"angle": np.zeros(3)}, {"axis": 0}),
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
