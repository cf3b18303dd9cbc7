"""Gram iteration: the sequence of bounds falls to the norm and never below, also in the dense case."""

import itertools

import numpy as np
import pytest
import torch

from onelip.spectral import norm_estimate
from onelip.spectral.norm_estimates.gram import frobenius_of_power

RING = {"padding": 1, "padding_mode": "circular"}


def test_the_circular_sequence_falls_to_the_norm_and_never_below():
    torch.manual_seed(0)
    kernel = torch.randn(8, 4, 3, 3, dtype=torch.float64)
    exact = float(norm_estimate(kernel, "sedghi", (4, 8, 8), **RING))
    values = [float(norm_estimate(kernel, "gram-circular", (4, 8, 8), steps=s, **RING)) for s in range(1, 9)]
    assert all(a >= b * (1 - 1e-12) for a, b in itertools.pairwise(values))
    assert values[-1] >= exact * (1 - 1e-12)
    for steps, value in enumerate(values, start=1):
        # At most the 2^(steps + 1)-th root of the rank.
        assert exact * (1 - 1e-12) <= value <= exact * 4 ** (1 / 2 ** (steps + 1)) * (1 + 1e-12)
    assert values[-1] == pytest.approx(exact, rel=1e-3)


def test_the_dense_sequence():
    torch.manual_seed(0)
    weight = torch.randn(30, 20, dtype=torch.float64)
    exact = float(np.linalg.norm(weight.numpy(), 2))
    singular = np.linalg.svd(weight.numpy(), compute_uv=False)
    for steps in (1, 2, 6, 10):
        # ||(W^T W)^(p/2)||_F in terms of the singular values.
        power = 2.0 ** (steps + 1)
        expected = exact * float(((singular / exact) ** power).sum() ** (1 / power))
        assert float(norm_estimate(weight, "gram-dense", steps=steps)) == pytest.approx(expected, rel=1e-12)
    assert float(norm_estimate(weight, "gram-dense", steps=15)) == pytest.approx(exact, rel=1e-9)


def test_zero_padding_by_the_taps_themselves():
    torch.manual_seed(0)
    kernel = torch.randn(2, 3, 3, 2, dtype=torch.float64)
    # K^T * K by hand, for one step.
    gram = torch.nn.functional.conv2d(kernel, kernel, padding=(2, 1))
    expected = float(gram.abs().sum((1, 2, 3)).max().sqrt())
    assert float(norm_estimate(kernel, "gram-zero", steps=1)) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("factor", [1e-100, 1e100])
@pytest.mark.parametrize("steps", [1, 2, 6])
def test_it_is_homogeneous_and_does_not_overflow(factor, steps):
    torch.manual_seed(0)
    w = torch.randn(200, 4, 2, dtype=torch.float64)
    scaled = frobenius_of_power(w * factor, steps)
    torch.testing.assert_close(scaled, frobenius_of_power(w, steps) * factor, rtol=1e-10, atol=0)
    norms = torch.linalg.matrix_norm(w, ord=2)
    assert bool((scaled >= norms * factor * (1 - 1e-10)).all())
