"""What every orthogonaliser shares: orientation, precision, and whether it may look at the data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from onelip.linalg.precision import full_precision

DEFAULT_TOLERANCE = {torch.float32: 1e-8, torch.complex64: 1e-8, torch.float64: 1e-13, torch.complex128: 1e-13}
"""Largest ||Q^T Q - I||_F, as exact arithmetic would leave it, that counts as orthogonal. The last step then starts
from 1e-4 or 4e-7 at most, which is also the relative error of its gradient across the manifold."""

_COMPUTE_DTYPE = {
    torch.float16: torch.float32,
    torch.bfloat16: torch.float32,
    torch.float32: torch.float32,
    torch.float64: torch.float64,
    torch.complex64: torch.complex64,
    torch.complex128: torch.complex128,
}


class Orthogonalised(NamedTuple):
    """A semi-orthogonal matrix, and what it took.

    Attributes:
        matrix: Same shape and dtype as the input. Orthonormal columns if m >= n, orthonormal rows otherwise.
        residual: ||Q^T Q - I||_F of the smaller side, the largest of the batch, as exact arithmetic would leave it
            after the last step. A float in eager mode, a tensor under torch.compile and torch.func. Rank-deficient
            input leaves about the root of its rank deficiency.
        steps: Iterations (or factorisations) done.
    """

    matrix: Tensor
    residual: float | Tensor
    steps: int


@dataclass(frozen=True)
class Run:
    """How far an iteration goes.

    Attributes:
        tol: Stop once the residual is at most this.
        max_steps: Stop after so many steps.
        adaptive: False where values cannot be looked at (torch.compile, torch.func): do `max_steps` steps.
    """

    tol: float
    max_steps: int
    adaptive: bool


Algorithm = Callable[[Tensor, Run], Orthogonalised]


def on_stiefel(
    w: Tensor,
    algorithm: Algorithm,
    *,
    tol: float | None,
    max_steps: int | None,
    default_steps: int,
    double: bool = False,
) -> Orthogonalised:
    """Run an algorithm for tall matrices on matrices of any shape, in full precision.

    Args:
        w: (..., m, n), real or complex floating point; half precision is computed in float32 and cast back.
        algorithm: Takes (batch, p, q) with p >= q and returns the same shape with orthonormal columns.
        tol: Largest residual, or None for 1e-8 in float32 and 1e-13 in float64.
        max_steps: Largest number of steps, or None for `default_steps`.
        default_steps: The algorithm's own limit.
        double: Compute in float64 whatever the dtype, for algorithms that square the condition number.

    Returns:
        The semi-orthogonal matrix in the shape and dtype of `w`.

    Raises:
        ValueError: If `w` is not a floating-point matrix, or `tol` or `max_steps` is out of range.
    """
    _check(w, tol, max_steps)
    if w.numel() == 0:
        return Orthogonalised(w, 0.0, 0)
    dtype = _COMPUTE_DTYPE[w.dtype]
    if double:
        dtype = torch.complex128 if dtype.is_complex else torch.float64
    tol = DEFAULT_TOLERANCE[dtype] if tol is None else tol
    run = Run(tol, default_steps if max_steps is None else max_steps, may_look_at_values(w))
    wide = w.shape[-2] < w.shape[-1]
    with full_precision():
        x = w.to(dtype)
        x = x.mH if wide else x
        q, residual, steps = algorithm(x.reshape(-1, *x.shape[-2:]), run)
        q = q.mH if wide else q
        return Orthogonalised(q.reshape(w.shape).to(w.dtype), residual, steps)


def may_look_at_values(w: Tensor) -> bool:
    """Say whether control flow may depend on the numbers in a tensor.

    Args:
        w: Any tensor.

    Returns:
        False under torch.compile and torch.export, inside torch.func transforms of `w`, and for tensors without data.
    """
    if torch.compiler.is_compiling() or w.is_meta:
        return False
    return type(w) in (Tensor, torch.nn.Parameter) and not torch._C._functorch.is_functorch_wrapped_tensor(w)


def gram_of(x: Tensor) -> Tensor:
    """Return X^H X.

    Args:
        x: (..., p, q).

    Returns:
        (..., q, q).
    """
    return x.mH @ x


def peak_of(x: Tensor) -> Tensor:
    """Return the largest entry of each matrix, without gradient, or 1 where that is next to nothing.

    Dividing by it leaves zero matrices zero. Gradients grow like its inverse, so a matrix within 2^20 of underflow
    (1e-32 in float32) counts as zero.

    Args:
        x: (..., p, q).

    Returns:
        (..., 1, 1), real, positive.
    """
    peak = x.detach().abs().amax((-2, -1), keepdim=True)
    return torch.where(peak > 2.0**20 * torch.finfo(x.dtype).tiny, peak, 1.0)


def distance_to_identity(gram: Tensor) -> Tensor:
    """Return ||G - I||_F of each matrix, without gradient.

    Args:
        gram: (..., q, q).

    Returns:
        (...), real.
    """
    gram = gram.detach()
    return frobenius_norm(gram - identity_like(gram))


def frobenius_norm(x: Tensor) -> Tensor:
    """Return the Frobenius norm of each matrix, for complex ones ten times faster than torch's (measured on a CPU).

    Args:
        x: (..., p, q), real or complex, entries whose squares neither over- nor underflow.

    Returns:
        (...), real.
    """
    if not x.is_complex():
        return torch.linalg.matrix_norm(x)
    return torch.view_as_real(x.resolve_conj()).square().sum((-3, -2, -1)).sqrt()


def identity_like(gram: Tensor) -> Tensor:
    """Return the identity with the size, dtype and device of square matrices.

    Args:
        gram: (..., q, q).

    Returns:
        (q, q).
    """
    return torch.eye(gram.shape[-1], dtype=gram.dtype, device=gram.device)


def _check(w: Tensor, tol: float | None, max_steps: int | None) -> None:
    if w.ndim < 2 or w.dtype not in _COMPUTE_DTYPE:
        raise ValueError(
            f"w of shape {tuple(w.shape)} and {w.dtype} cannot be orthogonalised; give (..., m, n) floating point"
        )
    if tol is not None and not tol >= 0:
        raise ValueError(f"tol={tol} is not a residual; it must be >= 0")
    if max_steps is not None and max_steps < 1:
        raise ValueError(f"max_steps={max_steps} does nothing; it must be at least 1")
