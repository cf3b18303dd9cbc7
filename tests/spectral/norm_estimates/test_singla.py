"""Four reshapes: each by itself, and the least of them."""

import math

import numpy as np
import pytest
import torch

from onelip.spectral import NotApplicableError, norm_estimate


def by_loops(kernel, rows, columns):
    # The entry of tap (o, i, a, b) goes to the row and column made of the axes named.
    out, inner, kh, kw = sizes = kernel.shape
    matrix = np.zeros((math.prod(sizes[r] for r in rows), math.prod(sizes[c] for c in columns)))
    for index in np.ndindex(out, inner, kh, kw):
        row, column = (
            np.ravel_multi_index([index[a] for a in axes], [sizes[a] for a in axes]) for axes in (rows, columns)
        )
        matrix[row, column] = kernel[index]
    return math.sqrt(kh * kw) * np.linalg.norm(matrix, 2)


def test_the_matrices():
    torch.manual_seed(0)
    kernel = torch.randn(4, 3, 2, 5, dtype=torch.float64)
    axes = {"r": ((0, 2), (1, 3)), "s": ((0, 3), (1, 2)), "t": ((0,), (1, 2, 3)), "u": ((1,), (0, 2, 3))}
    expected = {name: by_loops(kernel.numpy(), *pair) for name, pair in axes.items()}
    for name, value in expected.items():
        assert float(norm_estimate(kernel, f"singla-{name}")) == pytest.approx(value, rel=1e-12)
    assert float(norm_estimate(kernel, "singla")) == pytest.approx(min(expected.values()), rel=1e-12)


@pytest.mark.parametrize("options", [{"padding_mode": "reflect"}, {"padding": 2, "padding_mode": "circular"}])
def test_padding_that_repeats_pixels_is_refused(options):
    with pytest.raises(NotApplicableError, match="repeats pixels"):
        norm_estimate(torch.ones(1, 1, 3, 3), "singla", **{"padding": 1, **options})
