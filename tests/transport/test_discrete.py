"""Exact distances of finite sets, against POT, SciPy's one-dimensional distance and their own duals."""

import sys

import numpy as np
import ot
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import wasserstein_distance

from onelip.transport import discrete as discrete_module
from onelip.transport import discrete_wasserstein1

EPS = 1e-11


def _sets(n, m, d, seed=0):
    generator = torch.Generator().manual_seed(seed)
    x, y = (torch.randn(k, d, generator=generator, dtype=torch.float64) for k in (n, m))
    return x, y + 0.5


def _by_pot(x, y, a=(), b=()):
    cost = ot.dist(x.flatten(1).numpy(), y.flatten(1).numpy(), "euclidean")
    return ot.emd2(np.array(a), np.array(b), cost)


@pytest.mark.parametrize(("n", "m", "d"), [(1, 1, 1), (1, 7, 2), (30, 30, 2), (30, 20, 3), (97, 61, 2), (80, 80, 40)])
def test_it_is_what_pot_finds(n, m, d):
    x, y = _sets(n, m, d)
    assert discrete_wasserstein1(x, y).value == pytest.approx(_by_pot(x, y), abs=EPS)


@pytest.mark.parametrize(("n", "m"), [(12, 12), (9, 14)])
def test_weighted_sets_are_what_pot_finds(n, m):
    x, y = _sets(n, m, 2)
    a, b = (np.random.default_rng(k).dirichlet(np.ones(k)) for k in (n, m))
    a[0] = 0.0
    found = discrete_wasserstein1(x, y, (3 * a).tolist(), b.tolist())
    assert found.value == pytest.approx(_by_pot(x, y, a / a.sum(), b), abs=EPS)
    assert found.dual_value == pytest.approx(found.value, abs=EPS)


def test_on_the_line_it_is_the_area_between_the_distribution_functions():
    x, y = _sets(40, 25, 1)
    expected = wasserstein_distance(x.flatten().numpy(), y.flatten().numpy())
    assert discrete_wasserstein1(x, y).value == pytest.approx(expected, abs=EPS)


@given(st.integers(1, 12), st.integers(1, 12), st.integers(1, 3), st.integers(0, 10**6), st.booleans())
def test_cost_and_dual_value_agree_so_both_are_right(n, m, d, seed, weighted):
    x, y = _sets(n, m, d, seed)
    x[: n // 2] = x[0].clone()
    weights = [k + 1.0 for k in range(n)] if weighted else None
    found = discrete_wasserstein1(x, y, weights)
    assert found.value - found.dual_value == pytest.approx(0, abs=EPS)
    rows, columns, masses = found.plan
    a = torch.tensor(weights or [1.0] * n).double()
    sums = torch.zeros(n).double().index_add(0, rows.long(), masses)
    torch.testing.assert_close(sums, a / a.sum(), atol=EPS, rtol=0)
    torch.testing.assert_close(
        torch.zeros(m).double().index_add(0, columns.long(), masses),
        torch.full((m,), 1 / m, dtype=torch.float64),
        atol=EPS,
        rtol=0,
    )
    assert (masses > 0).all()


@given(st.integers(1, 10), st.integers(1, 10), st.integers(0, 10**6))
def test_the_potential_is_lipschitz_everywhere_and_that_of_the_sets_at_them(n, m, seed):
    x, y = _sets(n, m, 2, seed)
    found = discrete_wasserstein1(x, y)
    z = torch.cat([x, y, 3 * torch.randn(30, 2).double()])
    f = found.potential(z)
    torch.testing.assert_close(f[:n], found.potential_x, atol=EPS, rtol=0)
    torch.testing.assert_close(f[n : n + m], found.potential_y, atol=EPS, rtol=0)
    far = torch.cdist(z, z, compute_mode="donot_use_mm_for_euclid_dist")
    assert ((f[:, None] - f).abs() - far).max() < EPS
    assert float(found.potential_x.mean() - found.potential_y.mean()) == pytest.approx(found.value, abs=EPS)


def test_far_and_near_sets_keep_their_digits():
    x, y = _sets(20, 20, 2)
    assert discrete_wasserstein1(x + 1e6, x + 1e6 + torch.tensor([0.25, 0.0])).value == pytest.approx(0.25, abs=1e-9)
    assert discrete_wasserstein1(x, x.flip(0)).value == 0
    assert discrete_wasserstein1(1e-12 * x, 1e-12 * y).value == pytest.approx(1e-12 * _by_pot(x, y), rel=1e-9)


def test_images_are_compared_as_they_are_flattened():
    x, y = torch.rand(6, 1, 4, 4), torch.rand(9, 1, 4, 4)
    found = discrete_wasserstein1(x, y)
    assert found.value == pytest.approx(discrete_wasserstein1(x.flatten(1), y.flatten(1)).value, abs=1e-12)
    assert found.potential(x).equal(found.potential_x)


def test_too_many_pairs_for_a_programme_are_refused():
    x, y = torch.zeros(800, 1), torch.zeros(701, 1)
    with pytest.raises(ValueError, match="800 and 701 points in discrete_wasserstein1 make more than 500,000 pairs"):
        discrete_wasserstein1(x, y)


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (torch.zeros(3), torch.zeros(3), r"x and y in discrete_wasserstein1 are \(3,\) and \(3,\)"),
        (torch.zeros(3, 2), torch.zeros(3, 1), r"are \(3, 2\) and \(3, 1\)"),
        (torch.zeros(0, 2), torch.zeros(3, 2), r"are \(0, 2\)"),
        (torch.full((1, 1), torch.nan), torch.zeros(1, 1), "must be finite"),
    ],
)
def test_sets_that_are_none_are_refused(x, y, message):
    with pytest.raises(ValueError, match=message):
        discrete_wasserstein1(x, y)


def test_a_solver_that_is_wrong_is_noticed(monkeypatch):
    monkeypatch.setattr(discrete_module, "_assignment", lambda cost: (np.array([[0.0], [1.0], [1.0]]), np.zeros(2)))
    with pytest.raises(ArithmeticError, match="the solver left a gap of"):
        discrete_wasserstein1(torch.tensor([[0.0], [1.0]]), torch.tensor([[0.0], [1.0]]))


def test_without_scipy_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'onelip\[transport\]'"):
        discrete_wasserstein1(torch.zeros(2, 1), torch.ones(2, 1))
