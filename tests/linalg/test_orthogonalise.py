"""Laws that every registered orthogonaliser obeys."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.linalg.matrices import conditioned, singular_values, with_singular_values

from onelip.linalg import ORTHOGONALISERS, Orthogonalised

NAMES = sorted(ORTHOGONALISERS)
PROJECTIONS = ["bjorck", "cholesky", "newton_schulz", "polar_express", "qr"]
NEAREST = ["bjorck", "newton_schulz", "polar_express"]
SHAPES = [(1, 1), (1, 6), (6, 1), (2, 3), (8, 8), (40, 16), (16, 40), (130, 130), (3, 5, 4), (2, 2, 4, 7)]

# What the layers promise: singular values within these of 1.
ABOVE = {torch.float32: 1e-5, torch.float64: 1e-10}
BELOW = 1e-4


def assert_semi_orthogonal(q: torch.Tensor, dtype: torch.dtype) -> None:
    values = singular_values(q)
    assert values.max() <= 1 + ABOVE[dtype]
    assert values.min() >= 1 - BELOW


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", NAMES)
def test_gaussian_matrices_become_semi_orthogonal(name: str, shape: tuple[int, ...], dtype: torch.dtype) -> None:
    # A square Gaussian may be conditioned worse than 1e3; the spectrum is what is promised.
    batch = int(np.prod(shape[:-2]))
    w = torch.stack([conditioned(*shape[-2:], 100.0, dtype) for _ in range(batch)]).reshape(shape)
    result = ORTHOGONALISERS[name](w)
    assert isinstance(result, Orthogonalised)
    assert result.matrix.shape == w.shape
    assert result.matrix.dtype == dtype
    assert isinstance(result.residual, float)
    assert result.residual <= 1e-6
    assert_semi_orthogonal(result.matrix, dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("spectrum", ["log", "one small", "one large"])
@pytest.mark.parametrize("name", NAMES)
def test_condition_1e3_at_every_scale(name: str, spectrum: str, dtype: torch.dtype) -> None:
    k = 48
    values = {
        "log": torch.logspace(0, -3, k).double(),
        "one small": torch.tensor([1.0] * (k - 1) + [1e-3]).double(),
        "one large": torch.tensor([1.0] + [1e-3] * (k - 1)).double(),
    }[spectrum]
    for scale in (1e-30, 1e-3, 1.0, 1e3, 1e30):
        w = (with_singular_values(values, 64, k) * scale).to(dtype)
        assert_semi_orthogonal(ORTHOGONALISERS[name](w).matrix, dtype)


@pytest.mark.parametrize("name", NAMES)
def test_degenerate_input_stays_below_one_with_finite_gradients(name: str) -> None:
    rank_three = torch.randn(140, 3) @ torch.randn(3, 140)
    cases = [torch.zeros(5, 3), torch.zeros(3, 5), torch.zeros(1, 1), torch.ones(6, 4), torch.ones(9, 9), rank_three]
    cases += [torch.diag(torch.tensor([1.0, 1.0, 0.0, 0.0])), torch.tensor([[1.0, 1e-30], [0.0, 1e-30]])]
    for base in cases:
        for scale in (1e-30, 1.0, 1e30):
            w = (base * scale).requires_grad_()
            q = ORTHOGONALISERS[name](w).matrix
            (q * torch.randn_like(q)).sum().backward()
            assert singular_values(q).max() <= 1 + ABOVE[torch.float32]
            assert torch.isfinite(w.grad).all()


@pytest.mark.parametrize("name", PROJECTIONS)
def test_subnormal_input_stays_finite(name: str) -> None:
    for scale in (1e-44, 1e-40, 1e-38):
        w = (torch.rand(4, 3) * scale).requires_grad_()
        q = ORTHOGONALISERS[name](w).matrix
        q.sum().backward()
        assert singular_values(q).max() <= 1 + ABOVE[torch.float32]
        assert torch.isfinite(w.grad).all()


@pytest.mark.parametrize("name", ["bjorck", "cholesky", "newton_schulz", "polar_express"])
def test_zero_stays_zero_where_singular_vectors_are_kept(name: str) -> None:
    assert not ORTHOGONALISERS[name](torch.zeros(4, 6)).matrix.any()


@pytest.mark.parametrize("name", PROJECTIONS)
def test_projections_leave_semi_orthogonal_matrices(name: str) -> None:
    signed = torch.linalg.qr(torch.randn(20, 8, dtype=torch.float64))[0]
    torch.testing.assert_close(ORTHOGONALISERS[name](signed).matrix, signed, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", NEAREST)
def test_polynomials_find_the_nearest_matrix(name: str) -> None:
    w = conditioned(12, 7, 50.0)
    u, _, vt = np.linalg.svd(w.numpy(), full_matrices=False)
    for wide in (False, True):
        q = ORTHOGONALISERS[name](w.mT if wide else w).matrix
        np.testing.assert_allclose(q.mT if wide else q, u @ vt, atol=1e-12)


@given(exponent=st.integers(-60, 60), name=st.sampled_from(PROJECTIONS))
@settings(max_examples=25)
def test_projections_do_not_see_scale(exponent: int, name: str) -> None:
    w = torch.randn(9, 5, generator=torch.Generator().manual_seed(exponent + 60), dtype=torch.float64)
    f = ORTHOGONALISERS[name]
    torch.testing.assert_close(f(w * 2.0**exponent).matrix, f(w).matrix, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_wide_is_the_transpose_of_tall(name: str) -> None:
    w = torch.randn(7, 4, dtype=torch.float64)
    assert torch.equal(ORTHOGONALISERS[name](w.mT).matrix, ORTHOGONALISERS[name](w).matrix.mT)


@pytest.mark.parametrize("name", NAMES)
def test_batches_are_orthogonalised_one_by_one(name: str) -> None:
    w = torch.randn(3, 6, 4, dtype=torch.float64)
    one_by_one = torch.stack([ORTHOGONALISERS[name](x).matrix for x in w])
    torch.testing.assert_close(ORTHOGONALISERS[name](w).matrix, one_by_one, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_first_and_second_derivatives(name: str) -> None:
    f = ORTHOGONALISERS[name]
    for shape in ((5, 3), (3, 5), (2, 3, 3)):
        w = torch.randn(shape, dtype=torch.float64, requires_grad=True)
        assert torch.autograd.gradcheck(lambda x: f(x).matrix, w)
    w = torch.randn(3, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradgradcheck(lambda x: f(x).matrix, w)


@pytest.mark.filterwarnings("ignore:.*torch.jit.script.*:DeprecationWarning")
@pytest.mark.parametrize("name", NAMES)
def test_functorch_transforms_agree_with_eager(name: str) -> None:
    f = ORTHOGONALISERS[name]
    w = torch.randn(3, 6, 4, dtype=torch.float64)
    torch.testing.assert_close(torch.func.vmap(lambda x: f(x).matrix)(w), f(w).matrix, rtol=0, atol=1e-12)
    eager = torch.autograd.functional.jacobian(lambda x: f(x).matrix, w[0])
    for transform in (torch.func.jacrev, torch.func.jacfwd):
        torch.testing.assert_close(transform(lambda x: f(x).matrix)(w[0]), eager, rtol=0, atol=1e-11)


@pytest.mark.parametrize("name", NAMES)
def test_compiles_to_one_graph(name: str) -> None:
    f = ORTHOGONALISERS[name]
    # Tracing joint graphs takes seconds, so one method stands for the backward pass of all.
    backend = "aot_eager" if name == "newton_schulz" else "eager"
    compiled = torch.compile(lambda x: f(x, max_steps=4).matrix, fullgraph=True, backend=backend)
    w = conditioned(12, 6, 2.0, torch.float32).requires_grad_()
    eager, traced = f(w, max_steps=4).matrix, compiled(w)
    torch.testing.assert_close(traced, eager, rtol=0, atol=1e-4)
    gradients = [torch.autograd.grad(q.square().sum(0)[0] + q[0, 1], w)[0] for q in (eager, traced)]
    torch.testing.assert_close(*gradients, rtol=0, atol=1e-3)


@pytest.mark.parametrize("name", NAMES)
def test_fixed_steps_reach_condition_1e3(name: str) -> None:
    # Under torch.func nothing may look at values: the default number of steps must be enough.
    for dtype in (torch.float32, torch.float64):
        w = torch.stack([conditioned(32, 24, 1e3, dtype) for _ in range(2)])
        q = torch.func.vmap(lambda x: ORTHOGONALISERS[name](x).matrix)(w)
        assert_semi_orthogonal(q, dtype)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("name", NAMES)
def test_half_precision_is_rounded_once(name: str, dtype: torch.dtype) -> None:
    w = torch.randn(16, 8).to(dtype)
    result = ORTHOGONALISERS[name](w).matrix
    assert result.dtype == dtype
    assert torch.equal(result, ORTHOGONALISERS[name](w.float()).matrix.to(dtype))


@pytest.mark.parametrize("name", NAMES)
def test_autocast_does_not_touch_the_result(name: str) -> None:
    w = torch.randn(16, 8)
    expected = ORTHOGONALISERS[name](w).matrix
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(ORTHOGONALISERS[name](w).matrix, expected)


@pytest.mark.parametrize("name", NAMES)
def test_complex_matrices_become_unitary(name: str) -> None:
    w = torch.randn(2, 7, 4, dtype=torch.complex128)
    q = ORTHOGONALISERS[name](w).matrix
    torch.testing.assert_close(q.mH @ q, torch.eye(4, dtype=torch.complex128).expand(2, 4, 4), rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_widths_beyond_130_are_not_solved_by_a_broken_factorisation(name: str) -> None:
    q = ORTHOGONALISERS[name](conditioned(200, 150, 10.0)).matrix.numpy()
    assert np.abs(q.T @ q - np.eye(150)).max() < 1e-12
