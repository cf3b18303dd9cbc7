import math

import numpy as np
import pytest
import torch
from flint import arb, ctx
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.certify.paranoid.balls import middle, step

from onelip import layers as L
from onelip.certify.checker.errors import VerificationError
from onelip.certify.paranoid.activations import ACTIVATIONS, axis_of
from onelip.certify.paranoid.balls import exact

RNG = np.random.default_rng(0)
X = np.concatenate([RNG.standard_normal((6, 8)), np.zeros((1, 8)), -np.ones((1, 8))])
ANGLE = np.array([0.3, 2.0, 0.0, 4.0])
ANGLES = np.array([[0.1, 0.0, 2.0, 5.0], [1.0, 0.0, 7.0, -2.0], [2.0, 3.0, 0.5, math.pi]])


SLOPES = np.linspace(-1, 1, 8)

CASES = {
    "abs": ({}, {}, L.Abs()),
    "beta_abs": ({"axis": 0, "count": 3}, {}, lambda x: torch.cat([x[:, :3].abs(), x[:, 3:]], 1)),
    "group_sort": ({"axis": 0, "group_size": 4}, {}, L.GroupSort(4)),
    "householder": ({"axis": 0}, {"angle": ANGLE}, None),
    "householder2": ({"axis": 0}, {"angle": ANGLES}, None),
    "leaky_relu": ({"slope": -0.5}, {}, torch.nn.LeakyReLU(-0.5)),
    "maxmin": ({"axis": 0}, {}, lambda x: x.unflatten(1, (2, 4)).sort(1, descending=True).values.flatten(1)),
    "maxout": ({"axis": 0, "group_size": 2}, {}, lambda x: x.unflatten(1, (4, 2)).amax(2)),
    "n_activation": ({"axis": 0}, {"thresholds": np.array([[0.5] * 8, [-0.25] * 8])}, None),
    "prelu": ({}, {"slope": SLOPES}, lambda x: torch.where(x > 0, x, x * torch.from_numpy(SLOPES))),
    "relu": ({}, {}, torch.nn.ReLU()),
    "soft_huber": ({"delta": 0.1}, {}, lambda x: 0.1 * ((1 + (x / 0.1) ** 2).sqrt() - 1)),
}  # fmt: skip


def reference(name):
    if name == "n_activation":
        return np.where(X < -0.25, X + 0.5, np.where(X < 0.5, -X, X - 1.0))
    first, second = X[:, :4], X[:, 4:]
    if name == "householder":
        vector = np.array([np.sin(ANGLE / 2), -np.cos(ANGLE / 2)])
        along = 2 * np.maximum(first * vector[0] + second * vector[1], 0)
        return np.concatenate([first - along * vector[0], second - along * vector[1]], 1)
    if name == "householder2":
        start = ANGLES[0] / 2
        a, b = (np.arccos(np.cos(t / 2)) for t in ANGLES[1:])
        phi, size = (np.arctan2(second, first) - start) % (2 * np.pi), np.hypot(first, second)
        turned = np.select([phi < a, phi < a + b, phi < b + np.pi], [phi, 2 * a - phi, phi - 2 * b], -phi)
        return np.concatenate([size * np.cos(turned + start), size * np.sin(turned + start)], 1)
    function = CASES[name][2]
    with torch.no_grad():
        return function(torch.from_numpy(X)).numpy()


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_activations_agree_with_their_definition(name):
    attributes, arrays, _ = CASES[name]
    with ctx.workprec(128):
        found = ACTIVATIONS[name](step(name, attributes, **arrays), exact(X))
    values = np.array([float(v.mid()) for v in found.ravel()]).reshape(found.shape)
    assert np.allclose(values, reference(name), rtol=0, atol=1e-13)
    assert all(v.rad() < 1e-15 for v in found.ravel())


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(sorted(ACTIVATIONS)), st.integers(0, 10**6))
def test_wide_balls_hold_the_images_of_all_their_points(name, seed):
    rng = np.random.default_rng(seed)
    attributes, arrays, _ = CASES[name]
    centre, points = rng.standard_normal((1, 8)), rng.uniform(-0.3, 0.3, (20, 8))
    wide = exact(centre)
    wide[:] = [[arb(v, 0.3) for v in centre[0].tolist()]]
    s = step(name, attributes, **arrays)
    with ctx.workprec(128):
        image = ACTIVATIONS[name](s, wide)[0]
        for row in ACTIVATIONS[name](s, exact(centre + 0.99 * points)):
            assert all(ball.overlaps(value) for ball, value in zip(image, row, strict=True))


def test_axes_and_shapes_are_checked():
    x = exact(np.ones((1, 3)))
    for name, attributes, arrays in (
        ("maxmin", {"axis": 4}, {}),
        ("group_sort", {"axis": 0, "group_size": 2}, {}),
        ("householder", {"axis": 0}, {"angle": [1.0]}),
        ("householder2", {"axis": 0}, {"angle": [[1.0]] * 3}),
        ("prelu", {}, {"slope": [1.0, 2.0]}),
        ("n_activation", {"axis": 0}, {"thresholds": [[1.0], [2.0]]}),
        ("soft_huber", {"delta": 0.0}, {}),
    ):
        with pytest.raises(VerificationError, match="does not fit"):
            ACTIVATIONS[name](step(name, attributes, **arrays), x)
    assert axis_of(step("maxmin", {"axis": 0}), x) == 1
    assert middle(ACTIVATIONS["maxmin"](step("maxmin", {"axis": 0}), x)).tolist() == [[1, 1, 1]]
