"""The corpus is what its names say: seeded, finite, of the size asked for."""

import numpy as np
import pytest
from tests.weights import MATRICES, broken, kernel


@pytest.mark.parametrize("name", sorted(MATRICES))
def test_generators(name):
    for shape in ((1, 1), (2, 5), (6, 3)):
        first, again = (MATRICES[name](np.random.default_rng(0), *shape) for _ in range(2))
        assert first.shape == shape
        assert first.dtype == np.float64
        assert np.isfinite(first).all()
        assert np.array_equal(first, again)
    assert kernel(name, np.random.default_rng(0), 2, 3, 1, 2).shape == (2, 3, 1, 2)


def test_broken_matrices_are_broken():
    assert not any(np.isfinite(w).all() for w in broken(np.random.default_rng(0), 2, 3))
