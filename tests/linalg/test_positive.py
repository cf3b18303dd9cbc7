"""Cholesky proves what it should, and nothing else."""

from __future__ import annotations

import mpmath
import pytest
import torch

from onelip.linalg import positive
from onelip.linalg.positive import all_below, top_eigenvalue_bound


def _random_gram(*shape: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    x = torch.randn(*shape, dtype=dtype)
    return x.mH @ x


def test_below_is_decided_per_matrix() -> None:
    g = torch.diag_embed(torch.tensor([[1.0, 2.0], [3.0, 0.5], [0.0, 0.0]], dtype=torch.float64))
    assert all_below(g, 2.5).tolist() == [True, False, True]
    assert all_below(g, 1.9).tolist() == [False, False, True]


def test_the_top_eigenvalue_itself_is_never_proved_too_low() -> None:
    # Exactly representable spectra: a bound one unit below the eigenvalue must not be proved.
    for q in (1, 2, 5, 40):
        g = torch.eye(q, dtype=torch.float64)[None]
        assert not all_below(g, 1.0 - 2.0**-53).item()
        assert all_below(g, 1.0 + 1e-10).item()


@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128])
@pytest.mark.parametrize("shape", [(1, 3, 1), (1, 50, 40), (7, 9, 6), (300, 30, 24)])
def test_bound_is_above_and_close(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    g = _random_gram(*shape, dtype=dtype)
    top = float(torch.linalg.eigvalsh(g).max())
    bound = top_eigenvalue_bound(g)
    assert top * (1 - 1e-14) <= bound <= top * (1 + 2e-4 if len(g) > 100 else 1 + 1e-9)
    assert top_eigenvalue_bound(g, at_least=2 * top) == 2 * top


def test_an_estimate_that_is_too_low_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    g = _random_gram(5, 20, 12)
    top = float(torch.linalg.eigvalsh(g).max())
    monkeypatch.setattr(positive, "_estimate", lambda g: 0.9 * top)
    assert top <= top_eigenvalue_bound(g) <= 1.5 * top
    monkeypatch.setattr(positive, "_estimate", lambda g: 1e-12 * top)
    assert top_eigenvalue_bound(g) >= top


def test_large_matrices_are_estimated_by_power_iteration(monkeypatch: pytest.MonkeyPatch) -> None:
    g = _random_gram(1, 80, 60)
    top = float(torch.linalg.eigvalsh(g).max())
    monkeypatch.setattr(positive, "_EIGH_LIMIT", 16)
    assert top * (1 - 1e-14) <= top_eigenvalue_bound(g) <= top * (1 + 1e-3)


def test_bound_to_fifty_digits() -> None:
    for seed in range(5):
        g = _random_gram(1, 4, 3 + seed % 2)
        g = g.tril() + g.tril(-1).mT
        with mpmath.workdps(50):
            top = max(mpmath.eigsy(mpmath.matrix(g[0].tolist()), eigvals_only=True))
            assert mpmath.mpf(top_eigenvalue_bound(g)) >= top
