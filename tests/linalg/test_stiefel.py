"""The arguments and the result that orthogonalisers share."""

from __future__ import annotations

import pytest
import torch
from tests.linalg.matrices import conditioned

from onelip.linalg import ORTHOGONALISERS
from onelip.linalg.stiefel import frobenius_norm, may_look_at_values

NAMES = sorted(ORTHOGONALISERS)


@pytest.mark.parametrize("name", NAMES)
def test_wrong_arguments_are_named(name: str) -> None:
    f = ORTHOGONALISERS[name]
    with pytest.raises(ValueError, match=r"w of shape \(3,\) and torch.float32 cannot be orthogonalised"):
        f(torch.ones(3))
    with pytest.raises(ValueError, match=r"torch.int64 cannot be orthogonalised"):
        f(torch.ones(3, 3, dtype=torch.int64))
    with pytest.raises(ValueError, match=r"tol=-1\.0 is not a residual"):
        f(torch.ones(3, 3), tol=-1.0)
    with pytest.raises(ValueError, match="tol=nan is not a residual"):
        f(torch.ones(3, 3), tol=float("nan"))
    with pytest.raises(ValueError, match="max_steps=0 does nothing"):
        f(torch.ones(3, 3), max_steps=0)


@pytest.mark.parametrize("name", NAMES)
def test_empty_matrices_come_back(name: str) -> None:
    for shape in ((0, 3), (3, 0), (0, 4, 4)):
        assert ORTHOGONALISERS[name](torch.zeros(shape)).matrix.shape == shape


@pytest.mark.parametrize("name", ["bjorck", "newton_schulz", "polar_express", "cholesky"])
def test_tolerance_and_steps_have_their_effect(name: str) -> None:
    f = ORTHOGONALISERS[name]
    # Two Cholesky factorisations already orthogonalise anything tame.
    w = conditioned(40, 30, 1e12 if name == "cholesky" else 10.0)
    loose, tight = f(w, tol=0.9), f(w, tol=1e-12)
    assert loose.steps < tight.steps
    assert loose.residual <= 0.9
    assert tight.residual <= 1e-12
    assert f(w, max_steps=2).steps == 2


@pytest.mark.parametrize("name", ["qr", "cayley", "exponential", "householder"])
def test_direct_methods_take_as_many_corrections_as_asked(name: str) -> None:
    w = torch.randn(20, 12, dtype=torch.float64)
    assert ORTHOGONALISERS[name](w).steps == 1
    assert ORTHOGONALISERS[name](w, tol=0.0, max_steps=3).steps == 3


def test_residual_is_a_tensor_where_values_cannot_be_looked_at() -> None:
    residuals = torch.func.vmap(lambda x: ORTHOGONALISERS["bjorck"](x).residual)(torch.randn(3, 4, 4))
    assert residuals.shape == (3,)


def test_who_may_look_at_values() -> None:
    assert may_look_at_values(torch.ones(2))
    assert may_look_at_values(torch.nn.Parameter(torch.ones(2)))
    assert not may_look_at_values(torch.ones(2, device="meta"))
    seen = []
    torch.func.vmap(lambda x: (seen.append(may_look_at_values(x)), x)[1])(torch.ones(2))
    torch.func.grad(lambda x: (seen.append(may_look_at_values(x)), x.sum())[1])(torch.ones(2))
    assert seen == [False, False]


def test_meta_tensors_pass_through() -> None:
    for f in ORTHOGONALISERS.values():
        assert f(torch.empty(4, 3, device="meta")).matrix.shape == (4, 3)


def test_frobenius_norm() -> None:
    for dtype in (torch.float64, torch.complex128):
        x = torch.randn(3, 4, 5, dtype=dtype)
        expected = x.abs().square().sum((-2, -1)).sqrt()
        torch.testing.assert_close(frobenius_norm(x), expected)
        torch.testing.assert_close(frobenius_norm(x.mH), expected)
