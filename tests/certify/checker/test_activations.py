import numpy as np
import pytest
import torch
import torch.nn.functional as F

from onelip.certify.checker.activations import ACTIVATIONS
from onelip.certify.checker.errors import VerificationError
from onelip.certify.checker.network import Step

X = np.random.default_rng(0).standard_normal((2, 4, 6, 6))


def run(op, x=X, arrays=None, **attributes):
    return ACTIVATIONS[op](Step("s", op, ("input",), attributes, arrays or {}, 1.0, None), x)[0]


def test_against_torch():
    t = torch.from_numpy(X)
    assert np.array_equal(run("relu"), F.relu(t))
    assert np.array_equal(run("abs"), t.abs())
    assert np.array_equal(run("leaky_relu", slope=-0.5), F.leaky_relu(t, -0.5))
    slopes = np.array([-0.5, 0.0, 0.25, 1.0])
    assert np.array_equal(run("prelu", arrays={"slope": slopes}), F.prelu(t, torch.from_numpy(slopes)))
    assert np.array_equal(run("prelu", arrays={"slope": slopes[:1]}), F.prelu(t, torch.tensor([-0.5]).double()))


def test_maxmin_sorting_and_folding_by_hand():
    x = np.array([[1.0, 5.0, 3.0, 2.0, 9.0]])
    assert run("maxmin", x, axis=0).tolist() == [[3, 5, 1, 2, 9]]
    assert run("group_sort", x[:, :4], axis=0, group_size=2).tolist() == [[1, 5, 2, 3]]
    assert run("maxout", x[:, :4], axis=0, group_size=2).tolist() == [[5, 3]]
    assert run("beta_abs", -x, axis=0, count=2).tolist() == [[1, 5, -3, -2, -9]]


def test_turning_points_by_hand():
    # The order of the two thresholds does not matter.
    x = np.array([[-3.0], [-1.0], [0.0], [2.0], [5.0]])
    for thresholds in ([[-1.0], [2.0]], [[2.0], [-1.0]]):
        y = run("n_activation", x, {"thresholds": np.array(thresholds)}, axis=0)
        assert y.ravel().tolist() == [-1, 1, 0, -2, 1]


def test_smooth_absolute_value():
    x = np.array([[-3.0, 0.0, 4.0, 1e100, 1e-9]])
    y = run("soft_huber", x, delta=3.0)[0]
    assert np.allclose(y, [3 * (2**0.5 - 1), 0, 2, 1e100, 1e-18 / 6], rtol=1e-15, atol=0)


def test_householder_keeps_norms_and_sorts_at_a_right_angle():
    x = np.array([[2.0, 1.0], [1.0, 2.0]])
    y = run("householder", x, {"angle": np.array([np.pi / 2])}, axis=0)
    assert np.allclose(y, [[1, 2], [1, 2]])
    turned = run("householder", X, {"angle": np.array([0.3, -2.0])}, axis=0)
    assert np.allclose(np.linalg.norm(turned), np.linalg.norm(X), rtol=1e-14)


def test_householder_of_order_2_by_angles():
    """The image of the point at angle t, by the angles at which the sectors begin."""
    start, a, b = 0.7, 1.1, 2.3
    t = np.linspace(0, 2 * np.pi, 1001)[:-1]
    z = np.stack([np.cos(t + start), np.sin(t + start)], 1)
    y = run("householder2", z, {"angle": 2 * np.array([[start], [a], [b]])}, axis=0)
    sectors = [t < a, t < a + b, t < np.pi + b]
    expected = np.select(sectors, [t, 2 * a - t, t - 2 * b], -t) + start
    assert np.allclose(y, np.stack([np.cos(expected), np.sin(expected)], 1), rtol=0, atol=1e-14)


@pytest.mark.parametrize(
    ("op", "arrays", "attributes"),
    [
        ("group_sort", {}, {"axis": 0, "group_size": 3}),
        ("maxout", {}, {"axis": 0, "group_size": 3}),
        ("maxmin", {}, {"axis": 3}),
        ("beta_abs", {}, {"axis": 0, "count": 5}),
        ("prelu", {"slope": np.ones(3)}, {}),
        ("n_activation", {"thresholds": np.zeros((2, 3))}, {"axis": 0}),
        ("soft_huber", {}, {"delta": 0.0}),
        ("soft_huber", {}, {"delta": -1.0}),
        ("householder", {"angle": np.zeros(3)}, {"axis": 0}),
        ("householder2", {"angle": np.zeros((2, 2))}, {"axis": 0}),
    ],
)
def test_what_does_not_fit_is_refused(op, arrays, attributes):
    with pytest.raises(VerificationError, match="'s'"):
        run(op, X, arrays, **attributes)
