import math

import numpy as np
from flint import arb, arb_mat
from hypothesis import given, settings
from hypothesis import strategies as st

from onelip.certify.paranoid.balls import exact
from onelip.certify.paranoid.norms import cheap_norm, matrix_norm, norm_at_most, positive_definite


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 7), st.integers(1, 7), st.integers(-900, 900), st.integers(0, 10**6))
def test_norms_are_proved_just_above_the_truth_and_refused_just_below(m, n, exponent, seed):
    w = np.random.default_rng(seed).standard_normal((m, n))
    true = float(np.linalg.norm(w, 2))
    w = np.ldexp(w, exponent)
    scaled = [arb(true * (1 + e)) * arb(2) ** exponent for e in (1e-12, -1e-12)]
    assert norm_at_most(exact(w), scaled[0])
    assert not norm_at_most(exact(w), scaled[1])
    assert cheap_norm(exact(w)) >= scaled[1]
    bound = float((matrix_norm(exact(w)) * arb(2) ** -exponent).upper())
    assert true * (1 - 1e-13) <= bound <= true * (1 + 1e-10)


def test_near_isometries_are_told_apart_to_the_last_digit():
    q = np.linalg.qr(np.random.default_rng(0).standard_normal((30, 30)))[0]
    true = float(np.linalg.norm(q, 2))
    assert norm_at_most(exact(q), arb(true * (1 + 4e-15)))
    assert not norm_at_most(exact(q), arb(1 - 1e-12))
    exactly = np.diag([1.0, -1.0, 1 + 2.0**-52])[:, [2, 0, 1]]
    assert norm_at_most(exact(exactly), arb(1 + 2.0**-52) + arb(2) ** -90)
    assert not norm_at_most(exact(exactly), arb(1 + 2.0**-52) - arb(2) ** -90)


def test_only_definite_matrices_pass():
    assert positive_definite(arb_mat([[2, 1], [1, 2]]))
    for entries in ([[1, 1], [1, 1]], [[1, 2], [2, 1]], [[0, 0], [0, 0]], [[-1, 0], [0, 1]]):
        assert not positive_definite(arb_mat(entries))
    assert not positive_definite(arb_mat([[arb("inf"), 0], [0, 1]]))
    assert not positive_definite(arb_mat([[arb(1, 2)]]))
    assert positive_definite(arb_mat([[arb(1, 0.5)]]))


def test_wrong_eigenvectors_prove_nothing_false(monkeypatch):
    real = np.linalg.eigh
    monkeypatch.setattr(np.linalg, "eigh", lambda a: (np.abs(real(a)[0]) + 1.0, real(a)[1][::-1]))
    w = exact(np.random.default_rng(1).standard_normal((8, 8)))
    assert not norm_at_most(w, arb(0.5))


def test_claims_are_tried_in_turn():
    w = exact(np.array([[1.0, 2.0], [3.0, 4.0]]))
    true = (15 + math.sqrt(221)) ** 0.5
    assert matrix_norm(w, (arb(true) * 0.999, arb(true) * 1.0001)) == arb(true) * 1.0001
    assert matrix_norm(w, (arb(5.0),)).overlaps(cheap_norm(w))
    assert matrix_norm(w, (arb("inf"), arb(100))).overlaps(cheap_norm(w))
    assert matrix_norm(exact(np.zeros((2, 2))), (arb(0),)) == 0
