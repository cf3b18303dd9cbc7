"""The checker's covers hold the exact images in 60 digits; nothing here is shared with the prover's tests."""

from __future__ import annotations

import math

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onelip.certify.checker.ellipsoids import Cover, bent, cut, gaps, longest, multiplied, stretched
from onelip.certify.checker.network import Array

mp.mp.dps = 60

seeds, sizes = st.integers(0, 2**31), st.integers(1, 6)


def high(x: Array) -> mp.matrix:
    return mp.matrix(x.tolist())


def exact(cover: Cover) -> mp.matrix:
    return high(cover.matrix) * mp.mpf(4) ** cover.power


def covers(cover: Cover, image: mp.matrix) -> bool:
    """Is the image covered, with no more to spare than 1e-9 of it?"""
    values = mp.eigsy(exact(cover) - image, eigvals_only=True)
    size = mp.mnorm(image, "f")
    return bool(min(values) >= -size * mp.mpf(10) ** -55 and max(values) <= size * 1e-9 + mp.mpf(2) ** -500)


def weights(seed: int, m: int, n: int) -> Array:
    g = np.random.default_rng(seed)
    return g.standard_normal((m, n)) * 2.0 ** g.integers(-12, 13, (m, 1)) * (g.random((m, 1)) > 0.1)


@settings(max_examples=50, deadline=None)
@given(seeds, sizes, sizes)
def test_affine_images(seed: int, m: int, n: int) -> None:
    w, before = weights(seed, m, n), multiplied(weights(seed + 1, n, n + 1), None)
    assert covers(multiplied(w, before), high(w) * exact(before) * high(w).T)
    assert covers(multiplied(w, None), high(w) * high(w).T)
    f = weights(seed + 2, n, 1)[:, 0]
    for sign in (-1, 1):
        d = mp.diag([mp.mpf(x) * (1 + sign * mp.mpf(4) * mp.mpf(2) ** -53) for x in f.tolist()])
        assert covers(stretched(f, 4, before), d * exact(before) * d)


@settings(max_examples=60, deadline=None)
@given(seeds, sizes, st.sampled_from(["relu", "abs", "mixed", "any"]), st.floats(1.05, 100))
def test_activations(seed: int, n: int, kind: str, room: float) -> None:
    g = np.random.default_rng(seed)
    before = multiplied(weights(seed, n, n + 1), None)
    index = np.arange(n)
    middle, spread = {
        "relu": (np.full(n, 0.5), np.full(n, 0.5)),
        "abs": (np.zeros(n), np.ones(n)),
        "mixed": (1.0 * (index % 2), 1.0 * (index % 2 == 0)),
        "any": (g.standard_normal(n), g.random(n)),
    }[kind]
    top = float(mp.sqrt(max(mp.eigsy(exact(before), eigvals_only=True))))
    h = top * spread.max() * room * (1 + g.random(n)) if top > 0 else np.ones(n)
    image = bent(middle, spread, h, before)
    assert image is not None
    # (C^-1 - D)^-1 with D = diag(r^2 / h^2), and the part of w.
    c = exact(before)
    d = mp.diag([(mp.mpf(r) / mp.mpf(x)) ** 2 for r, x in zip(spread.tolist(), h.tolist(), strict=True)])
    m = mp.diag(middle.tolist())
    inner = m * mp.inverse(mp.eye(n) - c * d) * c * m
    if before.matrix.any():
        for k in range(n):
            inner[k, k] += mp.mpf(h[k]) ** 2 if spread[k] > 0 else 0
    assert covers(image, (inner + inner.T) / 2)


@pytest.mark.parametrize("factor", [0.5, 1e-300, 0.0, math.inf, math.nan])
def test_radii_that_prove_nothing(factor: float) -> None:
    before = multiplied(np.eye(3), None)
    half, one = np.full(3, 0.5), np.ones(3)
    assert bent(half, half, half * factor, before) is None
    assert bent(0 * one, one, one * factor, before) is None
    assert bent(half, half, 0.8 * one, before) is not None


@settings(max_examples=40, deadline=None)
@given(seeds, sizes, st.integers(-400, 400))
def test_lengths(seed: int, n: int, power: int) -> None:
    cover = Cover(multiplied(weights(seed, n, n), None).matrix, power)
    c = exact(cover)
    top = mp.sqrt(max(0, *mp.eigsy(c, eigvals_only=True), 0))
    assert top <= longest(cover) <= top * (1 + 1e-9) + mp.mpf(2) ** (power - 250)
    bounds = gaps(cover)
    for i in range(n):
        for j in range(n):
            assert mp.mpf(bounds[i, j]) ** 2 >= c[i, i] + c[j, j] - 2 * c[i, j]


def test_cut_zero_and_overflow() -> None:
    cover = multiplied(np.diag([1.0, 2.0, 4.0]), None)
    assert longest(cut(0, 2, cover)) == pytest.approx(2.0, rel=1e-12)
    zero = multiplied(np.zeros((2, 3)), cover)
    assert longest(zero) == 0
    assert bent(np.ones(2), np.ones(2), np.zeros(2), zero) is zero
    assert longest(Cover(np.eye(2) / 2, 1030)) == math.inf
    assert gaps(Cover(np.eye(2) / 2, 1030))[0, 1] == math.inf
