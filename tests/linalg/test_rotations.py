"""Rotations: nearest ones and logarithms, against SciPy."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg
import scipy.stats
import torch

from onelip.linalg.rotations import completed_rotation, determinant_sign, nearest_rotation, rotation_log


def _rotation(n: int, seed: int = 0) -> torch.Tensor:
    if n == 1:
        return torch.ones(1, 1, dtype=torch.float64)
    return torch.tensor(scipy.stats.special_ortho_group.rvs(n, random_state=np.random.default_rng(seed)))


@pytest.mark.parametrize("n", [1, 2, 3, 8, 33, 140])
def test_logarithm_is_that_of_scipy(n: int) -> None:
    q = _rotation(n, seed=n)
    log = rotation_log(q)
    assert torch.equal(log, -log.T)
    np.testing.assert_allclose(scipy.linalg.expm(log.numpy()), q.numpy(), atol=1e-10)
    np.testing.assert_allclose(log.numpy(), scipy.linalg.logm(q.numpy()).real, atol=1e-8)


@pytest.mark.parametrize("angle", [np.pi, np.pi - 1e-9, np.pi - 1e-5, np.pi - 1e-3])
def test_half_turns_have_a_logarithm(angle: float) -> None:
    frame = _rotation(7, seed=3).numpy()
    skew = np.zeros((7, 7))
    for i, turn in ((0, angle), (2, -angle), (4, 0.3)):
        skew[i, i + 1], skew[i + 1, i] = turn, -turn
    q = torch.tensor(scipy.linalg.expm(frame @ skew @ frame.T))
    np.testing.assert_allclose(scipy.linalg.expm(rotation_log(q).numpy()), q.numpy(), atol=3e-5)


@pytest.mark.parametrize("diagonal", [(-1.0, -1.0), (-1.0, 1.0, -1.0), (1.0, 1.0), (-1.0,) * 6])
def test_signs_have_a_logarithm(diagonal: tuple[float, ...]) -> None:
    q = torch.diag(torch.tensor(diagonal, dtype=torch.float64))
    np.testing.assert_allclose(scipy.linalg.expm(rotation_log(q).numpy()), q.numpy(), atol=1e-12)


@pytest.mark.parametrize("n", [1, 2, 5, 20])
def test_nearest_rotation_beats_other_rotations(n: int) -> None:
    w = torch.randn(n, n, dtype=torch.float64)
    for target in (w, -w, w * w[0]):
        found = nearest_rotation(target)
        assert np.linalg.det(found.numpy()) == pytest.approx(1)
        torch.testing.assert_close(found @ found.T, torch.eye(n, dtype=torch.float64))
        distance = float((found - target).norm())
        for seed in range(20):
            step = torch.randn(n, n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
            other = torch.tensor(scipy.linalg.expm(0.1 * (step - step.T).numpy())) @ found
            assert distance <= float((other - target).norm()) + 1e-12
    torch.testing.assert_close(nearest_rotation(_rotation(n)), _rotation(n))


@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128])
@pytest.mark.parametrize("shape", [(1, 1), (1, 2), (3, 4), (7, 2), (5, 5)])
def test_completed_rotation_contains_the_polar_factor(shape: tuple[int, int], dtype: torch.dtype) -> None:
    w = torch.randn(shape, dtype=dtype)
    q = completed_rotation(w)
    n = max(shape)
    torch.testing.assert_close(q @ q.mH, torch.eye(n, dtype=dtype))
    if dtype == torch.float64:
        assert np.linalg.det(q.numpy()) == pytest.approx(1)
    if dtype == torch.complex128 or shape[0] != shape[1]:
        np.testing.assert_allclose(
            q[: shape[0], : shape[1]].resolve_conj(), scipy.linalg.polar(w.numpy())[0], atol=1e-12
        )


@pytest.mark.parametrize("n", [1, 2, 9])
def test_logarithm_of_a_unitary_matrix(n: int) -> None:
    q = torch.tensor(scipy.stats.unitary_group.rvs(n, random_state=np.random.default_rng(n)).reshape(n, n))
    for u in (q, -torch.eye(n, dtype=torch.complex128), 1j * torch.eye(n, dtype=torch.complex128)):
        log = rotation_log(u)
        assert torch.equal(log, -log.mH)
        np.testing.assert_allclose(scipy.linalg.expm(log.numpy()), u.numpy(), atol=1e-10)


def test_determinant_sign() -> None:
    for n in range(1, 9):
        q = np.linalg.qr(np.random.default_rng(n).normal(size=(n, n)))[0]
        assert determinant_sign(torch.tensor(q)) == np.sign(np.linalg.det(q))
