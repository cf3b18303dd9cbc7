import numpy as np
import pytest

from onelip.certify.checker.semidefinite import all_below, each_below


def matrices(count, n, complex_numbers):
    rng = np.random.default_rng(0)
    g = rng.standard_normal((count, n, n))
    if complex_numbers:
        g = g + 1j * rng.standard_normal((count, n, n))
    return g + g.conj().transpose(0, 2, 1)


@pytest.mark.parametrize("complex_numbers", [False, True])
@pytest.mark.parametrize("n", [1, 2, 20])
def test_proved_exactly_where_true(n, complex_numbers):
    g = matrices(17, n, complex_numbers)
    tops = np.linalg.eigvalsh(g)[:, -1]
    for s in np.sort(tops):
        above, below = s + 1e-10 * abs(s), s - 1e-10 * abs(s)
        assert (each_below(g, above) == (tops <= s)).all()
        assert (each_below(g, below) == (tops < s)).all()
        assert all_below(g, above) == bool((tops <= s).all())


def test_not_a_number_is_not_proved():
    assert not all_below(np.full((1, 2, 2), np.nan), 1.0)
