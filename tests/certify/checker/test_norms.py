import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from onelip.certify.checker import refinement as checked_refinement
from onelip.certify.checker.norms import conv_norm, matrix_norm
from onelip.linalg import conv_norm_bound
from onelip.linalg.convolution import refinement

ONE = (1, 1)
CLAIM_SLACK = 1e-9
"""What certificates add to a proved constant."""


def rng(seed=0):
    return np.random.default_rng(seed)


def circular_norm(kernel, n=24):
    """Largest singular value over the frequencies of an n x n torus: below the supremum, and near it."""
    spectrum = np.fft.fft2(kernel, (n, n), axes=(2, 3)).transpose(2, 3, 0, 1)
    return float(np.linalg.svd(spectrum, compute_uv=False).max())


def dense_norm(kernel, stride, dilation, groups, size=7):
    """Norm of a zero-padded convolution as a dense matrix, tap by tap."""
    out, inner, k_h, k_w = kernel.shape
    columns = {}
    for o in range(out):
        for y in range(size):
            for x in range(size):
                row = np.zeros((inner * groups, size, size))
                for i in range(inner):
                    for a in range(k_h):
                        for b in range(k_w):
                            u, v = stride[0] * y + dilation[0] * a - 2, stride[1] * x + dilation[1] * b - 2
                            if 0 <= u < size and 0 <= v < size:
                                row[i + o // (out // groups) * inner, u, v] += kernel[o, i, a, b]
                if row.any():
                    columns[o, y, x] = row.ravel()
    return float(np.linalg.norm(np.stack(list(columns.values())), 2))


@settings(max_examples=40)
@given(st.integers(1, 9), st.integers(1, 9), st.integers(-280, 280), st.integers(0, 1000))
def test_matrices(m, n, exponent, seed):
    w = np.ldexp(rng(seed).standard_normal((m, n)), exponent)
    exact = float(np.linalg.norm(np.ldexp(w, -exponent), 2))
    bound = math.ldexp(matrix_norm(w), -exponent)
    assert exact * (1 - 1e-13) <= bound <= exact * (1 + 1e-9)


def test_a_matrix_claim_is_proved_only_if_true():
    w = rng().standard_normal((20, 30))
    exact = float(np.linalg.norm(w, 2))
    assert matrix_norm(w, exact * (1 + 1e-9)) == exact * (1 + 1e-9)
    assert matrix_norm(w, exact * (1 - 1e-9)) > exact
    assert matrix_norm(w, math.inf) >= exact
    assert matrix_norm(w, 0.0) >= exact
    assert matrix_norm(np.zeros((3, 2)), 5.0) == 0


@pytest.mark.parametrize("shape", [(4, 4, 3, 3), (6, 2, 3, 2), (2, 6, 1, 4), (3, 3, 1, 1), (1, 1, 5, 5)])
def test_convolution_claims(shape):
    kernel = rng(1).standard_normal(shape)
    exact = circular_norm(kernel, 96)
    assert conv_norm(kernel, ONE, ONE, 1, exact * 1.002) == exact * 1.002
    assert conv_norm(kernel, ONE, ONE, 1, exact * 0.999) > exact
    assert conv_norm(kernel * 1e-200, ONE, ONE, 1, exact * 1.002e-200) == exact * 1.002e-200
    assert conv_norm(0 * kernel, ONE, ONE, 1, 1.0) == 0


@settings(max_examples=8)
@given(st.integers(0, 1000), st.sampled_from([(1, 1), (2, 2), (2, 1), (3, 2)]), st.sampled_from([(1, 1), (2, 1)]))
def test_never_below_a_zero_padded_convolution(seed, stride, dilation):
    groups = 1 + seed % 2
    kernel = rng(seed).standard_normal((2 * groups, 2, 3, 2))
    exact = dense_norm(kernel, stride, dilation, groups)
    for claimed in (0.5 * exact, 0.99 * exact, exact * (1 - 1e-6)):
        assert conv_norm(kernel, stride, dilation, groups, claimed) >= exact * (1 - 1e-12)


@pytest.mark.parametrize("stride", [(2, 2), (2, 1), (3, 3)])
def test_strided_claims_are_provable(stride):
    kernel = rng(2).standard_normal((4, 3, 3, 3))
    exact = dense_norm(kernel, stride, ONE, 1, 13)
    assert conv_norm(kernel, stride, ONE, 1, exact * 1.1) == exact * 1.1


def test_orthogonal_kernels_are_proved_to_a_part_in_a_million():
    # A shift times an orthogonal matrix, perturbed by float32 rounding.
    q = np.linalg.qr(rng(3).standard_normal((16, 16)))[0].astype(np.float32).astype(np.float64)
    kernel = np.zeros((16, 16, 3, 3))
    kernel[:, :, 1, 2] = q
    claimed = 1 + 1e-6
    assert conv_norm(kernel, ONE, ONE, 1, claimed) == claimed


def test_kernels_rescaled_by_row_sums_are_proved_to_be_one():
    kernel = np.abs(rng(4).standard_normal((3, 5, 3, 3)))
    gram = np.zeros((5, 5))
    for a in range(-2, 3):
        for b in range(-2, 3):
            rows, columns = slice(max(0, -a), 3 - max(0, a)), slice(max(0, -b), 3 - max(0, b))
            rows2, columns2 = slice(max(0, a), 3 - max(0, -a)), slice(max(0, b), 3 - max(0, -b))
            first, second = kernel[:, :, rows, columns], kernel[:, :, rows2, columns2]
            gram += np.abs(np.einsum("oiab,ojab->ij", first, second))
    kernel = kernel / np.sqrt(gram.sum(0))[:, None, None]
    # All taps positive: frequency 0 attains the bound, so that nothing short of row sums is tight.
    assert conv_norm(kernel, ONE, ONE, 1, 1 + 1e-9) == 1 + 1e-9


@settings(max_examples=15)
@given(st.integers(1, 6), st.integers(1, 6), st.integers(1, 4), st.integers(1, 4), st.integers(0, 999))
def test_what_the_prover_claims_is_proved_again(out, inner, k_h, k_w, seed):
    kernel = rng(seed).standard_normal((out, inner, k_h, k_w))
    claimed = conv_norm_bound(torch.from_numpy(kernel)).value * (1 + CLAIM_SLACK)
    assert conv_norm(kernel, ONE, ONE, 1, claimed) <= claimed
    assert conv_norm(kernel, ONE, ONE, 1, claimed * (1 - 1e-5)) > claimed * (1 - 1e-5)


@pytest.mark.parametrize("noise", [0.0, 1e-7, 1e-5, 1e-3, 1e-2, 0.1])
def test_claims_of_nearly_orthogonal_kernels_are_proved_again(noise):
    q = np.linalg.qr(rng(3).standard_normal((24, 24)))[0]
    kernel = noise * rng(4).standard_normal((24, 24, 3, 3))
    kernel[:, :, 1, 2] += q
    claimed = conv_norm_bound(torch.from_numpy(kernel)).value * (1 + CLAIM_SLACK)
    assert conv_norm(kernel, ONE, ONE, 1, claimed) <= claimed


@pytest.mark.parametrize("size", [5e-324, 1e-320, 1e-310])
def test_subnormal_weights_are_far_below_a_claim_of_one(size):
    w = size * np.ones((2, 3))
    assert matrix_norm(w, 1.0) < 1e-300
    assert conv_norm(w.reshape(2, 3, 1, 1), ONE, ONE, 1, 1.0) < 1e-300


@pytest.mark.parametrize("shape", [(12, 12, 3, 3), (8, 9, 2, 4), (6, 5, 1, 3)])
def test_claims_from_means_over_a_grid_are_proved_again(shape, monkeypatch):
    kernel = rng().standard_normal(shape)
    monkeypatch.setattr(refinement, "_OPERATIONS", (0.0, 1.0))
    monkeypatch.setattr(checked_refinement, "_DEAR", 0.0)
    bound = conv_norm_bound(torch.from_numpy(kernel)).value
    true = circular_norm(kernel, 48)
    assert true * (1 - 1e-12) <= bound <= true * 1.005
    claimed = bound * (1 + CLAIM_SLACK)
    assert conv_norm(kernel, ONE, ONE, 1, claimed) == claimed
    assert conv_norm(kernel, ONE, ONE, 1, true * (1 - 1e-3)) > true * (1 - 1e-3)
