"""Claims are proved if they are true, whatever the stripes, and never if they are false."""

import numpy as np
import pytest
from tests.certify.checker.test_images import MODES, largest

from onelip.certify.checker import stripes
from onelip.certify.checker.images import images, padded_axis
from onelip.certify.checker.stripes import below, cost, cut


def operators(mode, shape=(2, 3, 2, 3, 3), stride=1):
    weights = np.random.default_rng(2).standard_normal(shape)
    return images(weights, tuple(padded_axis(n, 3, stride, 1, (1, 1), mode) for n in (6, 5)))


@pytest.fixture(params=[0, 320])
def whole(monkeypatch, request):
    monkeypatch.setattr(stripes, "_WHOLE", request.param)
    monkeypatch.setattr(stripes, "_STRIPE", 7)
    return request.param


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("stride", [1, 2])
def test_claims(whole, mode, stride):
    case = operators(mode, stride=stride)
    for way in (case, case.at_frequencies((1,), (0,))):
        exact = largest(way) * np.sqrt(way.copies)
        assert (cut(way).stripes == 1) == (whole > 0)
        assert below(way, exact * (1 + 1e-6))
        assert not below(way, exact * (1 - 1e-9))
        assert not below(way, 0.0)


@pytest.mark.parametrize(("where", "broken"), [(stripes, "triangular_inverse"), (np.linalg, "cholesky")])
def test_a_broken_backend_makes_no_false_proof(monkeypatch, where, broken):
    monkeypatch.setattr(stripes, "_WHOLE", 0)
    monkeypatch.setattr(stripes, "_STRIPE", 7)
    monkeypatch.setattr(where, broken, lambda a: np.broadcast_to(np.eye(a.shape[-1]), a.shape).copy())
    case = operators("zeros")
    assert not below(case, largest(case) * (1 - 1e-6))


@pytest.mark.parametrize("n", [1, 5, 16, 17, 50])
def test_triangular_inverses(n):
    rng = np.random.default_rng(n)
    lower = np.tril(rng.standard_normal((3, n, n)) + 1j * rng.standard_normal((3, n, n))) + 2 * n * np.eye(n)
    assert np.allclose(stripes.triangular_inverse(lower) @ lower, np.eye(n), atol=1e-13)


def test_no_axes_left():
    ring = operators("circular").at_frequencies((0, 1), (0, 0))
    exact = largest(ring)
    assert cut(ring).axis == -1
    assert below(ring, exact * (1 + 1e-9))
    assert not below(ring, exact * (1 - 1e-9))


def test_cost_grows_with_the_operators():
    assert cost(operators("zeros", (4, 3, 2, 3, 3))) == 2 * cost(operators("zeros"))
