"""No bound is below the true norm, for tens of thousands of weights, many of them made to break it.

Small matrices are judged in exact rational arithmetic, larger ones by NumPy's SVD with a slack of 1e-12.
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from tests.bounds.exact import gram, is_above
from tests.weights import MATRICES, broken, kernel

from onelip.bounds.affine_rules import channel_factors
from onelip.certify.checker.norms import conv_norm, matrix_norm
from onelip.linalg import conv_norm_bound, matrix_norm_bound
from onelip.linalg.norms import frobenius_squared_up, spectral_norms_up
from onelip.linalg.positive import all_below, top_eigenvalue_bound

SLACK = 1e-12
"""Relative error of an SVD in float64, generously."""

TIGHT = 1e-6

LEAST = 2.0**-1060
"""Denormal bounds are rounded up by whole units."""

NAMES = sorted(MATRICES)


def unscaled(w):
    """The matrix divided by a power of two, exactly, and the exponent."""
    exponent = math.frexp(float(np.abs(w).max()))[1] if w.any() else 0
    return np.ldexp(w, -exponent), exponent


def true_norm(w):
    """Largest singular value of a matrix near 1."""
    return float(np.linalg.svd(w, compute_uv=False)[0])


def both_bounds(w):
    return {"prover": matrix_norm_bound(torch.from_numpy(w)).value, "checker": matrix_norm(w)}


def beyond(w):
    """Has the prover refused a norm that float64 cannot hold?"""
    scaled, exponent = unscaled(w)
    return true_norm(scaled) * 2.0 ** min(exponent - 1020, 10) > 7


@pytest.mark.parametrize("name", NAMES)
def test_small_matrices_in_exact_arithmetic(name):
    rng = np.random.default_rng(NAMES.index(name))
    sizes = [(2, 2)] * 24 + [(5, 2), (2, 7), (1, 3)] * 3 + [(3, 3), (4, 3), (3, 5), (5, 5)]
    for m, n in sizes:
        w = MATRICES[name](rng, m, n)
        g = gram(w)
        for who, bound in both_bounds(w).items():
            assert is_above(bound, g), (who, w, bound)
            if bound > LEAST:
                assert not is_above(Fraction(bound) / Fraction(1 + TIGHT), g), (who, w, bound)


@pytest.mark.parametrize("name", NAMES)
def test_larger_matrices_by_the_svd(name):
    rng = np.random.default_rng(NAMES.index(name))
    for m, n in [(6, 6)] * 6 + [(8, 5), (5, 8), (16, 16), (3, 24), (40, 30)] * 2 + [(32, 64)]:
        w = MATRICES[name](rng, m, n)
        scaled, exponent = unscaled(w)
        true = true_norm(scaled)
        for who, bound in both_bounds(w).items():
            value = math.ldexp(bound, -exponent)
            assert value >= true * (1 - SLACK), (who, name, m, n)
            if bound > LEAST:
                assert value <= true * (1 + TIGHT), (who, name, m, n)
        # A claim is proved only if it is true.
        low, high = math.ldexp(true * (1 - 1e-9), exponent), math.ldexp(true * (1 + 1e-7), exponent)
        if LEAST < low < high < math.inf:
            assert matrix_norm(w, low) > low
            assert matrix_norm(w, high) <= high


def test_a_hundred_thousand_batched_matrices():
    # Every name and scale, at most 1 in size as the function wants it.
    rng = np.random.default_rng(0)
    for size, count in ((2, 800), (3, 800), (4, 600), (6, 200), (10, 40)):
        raw = [unscaled(MATRICES[name](rng, size, size + 1))[0] for name in NAMES for _ in range(20)]
        basis = torch.from_numpy(np.stack(raw))
        noise = torch.from_numpy(rng.standard_normal((count // 20, 1, size, size + 1)))
        scale = torch.from_numpy(10.0 ** rng.uniform(-160, -1, (count // 20, 1, 1, 1)))
        w = (basis + noise * scale).flatten(0, 1)
        w = w / w.abs().amax((1, 2), keepdim=True).clamp(min=1.0)
        true = np.linalg.svd(w.numpy(), compute_uv=False)[:, 0]
        for squarings in (0, 1, 2, 4):
            bound = spectral_norms_up(w, squarings).numpy()
            assert (bound >= true * (1 - SLACK)).all()
            loose = size ** (1 / 2 ** (squarings + 1)) * (1 + 1e-9)
            assert (bound <= true * loose + 1e-140).all()
        frobenius = frobenius_squared_up(w).numpy()
        assert (frobenius >= true**2 * (1 - SLACK)).all()
        g = w @ w.mT
        top = np.linalg.eigvalsh(g.numpy())[:, -1]
        assert top_eigenvalue_bound(g) >= top.max() * (1 - SLACK)
        t = float(np.median(top))
        proved = all_below(g, t).numpy()
        assert (top[proved] <= t * (1 + SLACK)).all()
        assert proved[top < t * (1 - 1e-9)].all()


@pytest.mark.parametrize("shape", [(1, 1), (3, 4), (20, 20)])
def test_what_is_not_finite_is_refused(shape):
    for w in broken(np.random.default_rng(0), *shape):
        with pytest.raises(ValueError, match="NaN or infinite"):
            matrix_norm_bound(torch.from_numpy(w))
        with pytest.raises(ValueError, match="NaN or infinite"):
            conv_norm_bound(torch.from_numpy(w)[:, :, None, None])


def test_norms_beyond_float64_are_refused_not_wrapped():
    w = np.full((4, 4), 1.7e308)
    with pytest.raises(ValueError, match="beyond the largest float64"):
        matrix_norm_bound(torch.from_numpy(w))
    with pytest.raises(ValueError, match="beyond the largest float64"):
        conv_norm_bound(torch.from_numpy(w)[:, :, None, None])
    assert matrix_norm(w) == math.inf
    assert matrix_norm(w, 1.7e308) > 1.7e308
    assert conv_norm(w[:, :, None, None], (1, 1), (1, 1), 1, 1.7e308) > 1.7e308


@pytest.mark.parametrize("name", NAMES)
def test_views_and_layouts_do_not_matter(name):
    rng = np.random.default_rng(3)
    w = torch.from_numpy(MATRICES[name](rng, 6, 8))
    views = [w[::2], w[:, ::3], w.T, w[1:4, 2:5], w[:1].expand(5, 8), w[:, :1].expand(6, 4), w.flip(0)]
    for view in views:
        array = np.ascontiguousarray(view.numpy())
        scaled, exponent = unscaled(array)
        true = true_norm(scaled)
        for bound in (matrix_norm_bound(view).value, matrix_norm(view.numpy())):
            assert math.ldexp(bound, -exponent) >= true * (1 - SLACK)
        same = matrix_norm_bound(torch.from_numpy(array)).value
        assert matrix_norm_bound(view).value == pytest.approx(same, rel=1e-12)


GEOMETRIES = [
    ((1, 1), (1, 1), 1, (3, 3)),
    ((1, 1), (2, 1), 2, (3, 2)),
    ((2, 2), (1, 1), 1, (3, 3)),
    ((2, 1), (1, 2), 2, (2, 3)),
    ((3, 2), (2, 1), 1, (2, 2)),
    ((2, 2), (1, 1), 1, (1, 1)),
]


def torus_norm(w, stride, dilation, groups, size=12):
    """Norm on a torus, from one matrix for each frequency of the phases: at most the supremum, and near it."""
    (s_h, s_w), (d_h, d_w), (out, inner, k_h, k_w) = stride, dilation, w.shape
    full = np.zeros((out, inner, size * s_h, size * s_w))
    for a, b in np.ndindex(k_h, k_w):
        full[:, :, a * d_h, b * d_w] += w[:, :, a, b]
    phases = full.reshape(out, inner, size, s_h, size, s_w).transpose(0, 1, 3, 5, 2, 4)
    spectrum = np.fft.fft2(phases.reshape(groups, out // groups, -1, size, size)).transpose(0, 3, 4, 1, 2)
    return float(np.linalg.svd(spectrum, compute_uv=False).max())


@pytest.mark.parametrize("geometry", GEOMETRIES, ids=range(len(GEOMETRIES)))
@pytest.mark.parametrize("name", NAMES)
def test_convolutions(name, geometry):
    stride, dilation, groups, (k_h, k_w) = geometry
    rng = np.random.default_rng(NAMES.index(name))
    w = kernel(name, rng, 4, 2, k_h, k_w)
    scaled, exponent = unscaled(w)
    true = torus_norm(scaled, stride, dilation, groups)
    bound = conv_norm_bound(torch.from_numpy(w), stride=stride, dilation=dilation, groups=groups)
    value = math.ldexp(bound.value, -exponent)
    assert value >= true * (1 - SLACK), (bound, true)
    assert value <= true * 1.2 or bound.value < LEAST, (bound, true)
    for claim in (bound.value * (1 + 1e-6), math.ldexp(true * 0.999, exponent)):
        proved = conv_norm(w, stride, dilation, groups, claim)
        assert math.ldexp(proved, -exponent) >= true * (1 - SLACK), (proved, true)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_batch_norms_in_exact_arithmetic(dtype):
    rng = np.random.default_rng(0)
    for _ in range(300):
        variance, weight, eps = (10.0 ** rng.uniform(-30, 30, 3)).tolist()
        variance = variance if rng.random() < 0.9 else 0.0
        stored = torch.tensor([variance]).clamp(max=6e4).to(dtype), torch.tensor([-weight]).clamp(min=-6e4).to(dtype)
        bound = channel_factors(stored[0], eps, stored[1])
        square = Fraction(bound.value) ** 2 * (Fraction(float(stored[0])) + Fraction(eps))
        assert square >= Fraction(float(stored[1])) ** 2
        assert square <= Fraction(float(stored[1])) ** 2 * Fraction(1 + 1e-12) + Fraction(1e-300)
