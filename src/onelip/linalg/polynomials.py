"""Orthogonalise by odd polynomials of the matrix: Bjorck, Newton-Schulz, Polar Express.

Each step maps every singular value s to s p(s^2) and leaves the singular vectors, so the limit is the polar factor,
the nearest semi-orthogonal matrix. Zero singular values stay zero.
"""

from __future__ import annotations

import torch
from torch import Tensor

from onelip.linalg.stiefel import (
    Orthogonalised,
    Run,
    distance_to_identity,
    frobenius_norm,
    gram_of,
    on_stiefel,
    peak_of,
)

# p of order k = the first k + 1 terms of the series of (1 - e)^(-1/2) at e = 1 - s^2: monotone on [0, 1], 1 at 1.
_BJORCK = {
    1: (3 / 2, -1 / 2),
    2: (15 / 8, -5 / 4, 3 / 8),
    3: (35 / 16, -35 / 16, 21 / 16, -5 / 16),
    4: (315 / 128, -105 / 32, 189 / 64, -45 / 32, 35 / 128),
}
# Steps that take a singular value 6e-4 (condition 1e3 after scaling) to 1 within float64.
_BJORCK_STEPS = {1: 26, 2: 17, 3: 14, 4: 13}

_SAFETY = 1.01
_MINIMAX = (
    (8.28721201814563, -23.595886519098837, 17.300387312530933),
    (4.107059111542203, -2.9478499167379106, 0.5448431082926601),
    (3.9486908534822946, -2.908902115962949, 0.5518191394370137),
    (3.3184196573706015, -2.488488024314874, 0.51004894012372),
    (2.300652019954817, -1.6689039845747493, 0.4188073119525673),
    (1.891301407787398, -1.2679958271945868, 0.37680408948524835),
    (1.8750014808534479, -1.2500016453999487, 0.3750001645474248),
)
_POLAR_EXPRESS = (*((a / _SAFETY, b / _SAFETY**3, c / _SAFETY**5) for a, b, c in _MINIMAX), (1.875, -1.25, 0.375))
_POLAR_EXPRESS_STEPS = 12

_NEAR = 0.5
"""Below this residual every singular value is in (0.7, 1.23): the safe polynomials converge without scaling."""


def bjorck(w: Tensor, *, tol: float | None = None, max_steps: int | None = None, order: int = 1) -> Orthogonalised:
    """Find the nearest semi-orthogonal matrix by Bjorck's iteration.

    X <- X (I + 1/2 E + 3/8 E^2 + ...), E = I - X^T X, with `order` terms after I. On a singular value in [0, sqrt(3)]
    order 1 stays in [0, 1], and step number `max_steps` is of order 1, so nothing finishes above 1 even if it has not
    converged. The weight is first divided by a proved bound of its norm (Schatten-8, from the Gram matrix), unless it
    is already near orthogonal.

    Args:
        w: (..., m, n).
        tol: Largest residual; None for 1e-8 in float32, 1e-13 in float64.
        max_steps: Largest number of steps; None for what a condition number of 1e3 needs (26, 17, 14, 13).
        order: 1 to 4: matrix products per step grow by one, steps shrink.

    Returns:
        The polar factor of `w`; the gradient is that of the projection.

    Raises:
        ValueError: If `order` is not 1 to 4, or another argument is out of range.

    Cost: (order + 1) products per step, (p, q) x (q, q) or (q, q) x (q, q) with q the smaller side.
    Paper: Bjorck and Bowie 1971; Anil, Lucas and Grosse 2019, arXiv:1811.05381, section 4.2.
    """
    if order not in _BJORCK:
        raise ValueError(f"order={order} is not an order of Bjorck's iteration; it must be 1, 2, 3 or 4")

    def algorithm(x: Tensor, run: Run) -> Orthogonalised:
        x, gram, residual = _scaled(x, run, spare_near=True)
        return finish(x, gram, run, order=order, residual=residual)

    return on_stiefel(w, algorithm, tol=tol, max_steps=max_steps, default_steps=_BJORCK_STEPS[order])


def newton_schulz(w: Tensor, *, tol: float | None = None, max_steps: int | None = None) -> Orthogonalised:
    """Find the nearest semi-orthogonal matrix by the quintic Newton-Schulz iteration.

    X <- X (15/8 I - 10/8 G + 3/8 G^2), G = X^T X: the safe coefficients, monotone on [0, 1]. The same iteration as
    `bjorck` of order 2, under the name it has in optimisers.

    Args:
        w: (..., m, n).
        tol: Largest residual; None for 1e-8 in float32, 1e-13 in float64.
        max_steps: Largest number of steps; None for 17.

    Returns:
        The polar factor of `w`.

    Paper: Kovarik 1970; Higham, Functions of Matrices, section 8.3.
    """
    return bjorck(w, tol=tol, max_steps=max_steps, order=2)


def polar_express(w: Tensor, *, tol: float | None = None, max_steps: int | None = None) -> Orthogonalised:
    """Find the nearest semi-orthogonal matrix by the minimax polynomials of Polar Express.

    Up to eight tabulated quintics, each the best for the interval its predecessor leaves, then Bjorck steps of order
    1. The tabulated steps overshoot 1 (by 12 % after five), the last step never does: it maps [0, 2] into [-1, 1].

    Args:
        w: (..., m, n).
        tol: Largest residual; None for 1e-8 in float32, 1e-13 in float64.
        max_steps: Largest number of steps, the finishing ones included; None for 12.

    Returns:
        The polar factor of `w`.

    Cost: three products per step; 9 to 10 steps for a condition number of 1e3, where `bjorck` needs 22 of two.
    Paper: Amsel, Persson, Musco and Gower 2025, arXiv:2505.16932.
    """
    return on_stiefel(w, _polar_express, tol=tol, max_steps=max_steps, default_steps=_POLAR_EXPRESS_STEPS)


def _polar_express(x: Tensor, run: Run) -> Orthogonalised:
    # The minimax steps diverge on singular values above 1.01, so matrices near orthogonal are scaled with the others.
    x, gram, residual = _scaled(x, run, spare_near=False)
    done = 0
    for coefficients in _POLAR_EXPRESS[: run.max_steps - 1]:
        if run.adaptive and residual < _NEAR:
            break
        x = _apply(x, gram, coefficients)
        gram = gram_of(x)
        residual = _residual(gram, run)
        done += 1
    return finish(x, gram, run, done=done, residual=residual)


def finish(
    x: Tensor,
    gram: Tensor,
    run: Run,
    *,
    order: int = 1,
    done: int = 0,
    residual: float | Tensor | None = None,
) -> Orthogonalised:
    """Run Bjorck steps until the residual is below `run.tol` or `run.max_steps` steps are done; at least one.

    The Gram matrix of each step also predicts the residual after it, so the last step costs no product to check.

    Args:
        x: (batch, p, q), singular values below sqrt(3).
        gram: X^T X.
        run: When to stop.
        order: 1 to 4.
        done: Steps that count already.
        residual: ||G - I||_F, the largest of the batch, if it is known.

    Returns:
        The result, its predicted residual, and all steps.
    """
    residual = _residual(gram, run) if residual is None else residual
    while True:
        done += 1
        # Even orders overshoot 1 from above it. Where there is no next step to undo that, take order 1, which cannot.
        last_order = 1 if done >= run.max_steps else order
        x = _apply(x, gram, _BJORCK[last_order])
        residual = _predicted(residual, last_order)
        if done >= run.max_steps or (run.adaptive and residual <= run.tol):
            return Orthogonalised(x, residual, done)
        gram = gram_of(x)
        residual = _residual(gram, run)


def polish(x: Tensor, run: Run) -> Orthogonalised:
    """Remove the rounding errors of a matrix that is orthogonal but for them.

    Near a semi-orthogonal matrix the step's derivative is the identity along the manifold, so gradients pass
    unchanged.

    Args:
        x: (batch, p, q), residual below 0.5.
        run: Its `max_steps` counts these steps alone.

    Returns:
        The polished matrix.
    """
    return finish(x, gram_of(x), run)


def _residual(gram: Tensor, run: Run) -> float | Tensor:
    # A number where it may be looked at, so that deciding costs one synchronisation and no operations on tensors.
    largest = distance_to_identity(gram).max()
    return float(largest) if run.adaptive else largest


def _predicted(residual: float | Tensor, order: int) -> float | Tensor:
    # An eigenvalue 1 - e of the Gram matrix, |e| < 1, becomes 1 - e' with |e'| <= |e|^(order + 1) (Kenney and Laub
    # 1991); for order 1, e' = e^2 (3 + e) / 4.
    rate = residual * (3 + residual) / 4 if order == 1 else residual**order
    return residual * (rate.clamp(max=1.0) if isinstance(rate, Tensor) else min(rate, 1.0))


def _apply(x: Tensor, gram: Tensor, coefficients: tuple[float, ...]) -> Tensor:
    # X (c_0 I + c_1 G + c_2 G^2 + ...) by Horner's rule.
    if len(coefficients) == 2:
        return torch.baddbmm(x, x, gram, beta=coefficients[0], alpha=coefficients[1])
    factor = torch.baddbmm(gram, gram, gram, beta=coefficients[-2], alpha=coefficients[-1])
    for c in reversed(coefficients[1:-2]):
        factor = torch.baddbmm(gram, gram, factor, beta=c)
    return torch.baddbmm(x, x, factor, beta=coefficients[0])


def _scaled(x: Tensor, run: Run, *, spare_near: bool) -> tuple[Tensor, Tensor, float | Tensor]:
    # Divide by an upper bound of the norm, unless all matrices are near orthogonal, or those that are if `spare_near`;
    # the other results are the Gram matrix and its residual. The divisor is a constant for autograd, since the polar
    # factor does not depend on scale.
    gram = gram_of(x)
    distance = distance_to_identity(gram)
    if run.adaptive and (largest := float(distance.max())) < _NEAR:
        return x, gram, largest
    near = (distance < _NEAR)[:, None, None] & spare_near
    peak = torch.where(near, 1.0, peak_of(x))
    norm = torch.where(near, 1.0, _spectral_norm_bound(gram_of(x.detach() / peak), x.shape[-2]))
    x = x / peak / norm
    gram = gram_of(x)
    return x, gram, _residual(gram, run)


def _spectral_norm_bound(gram: Tensor, inner: int) -> Tensor:
    # The root of the Schatten-8 norm of G, rounded up: at most q^(1/16) times the spectral norm of X.
    bound = torch.ones_like(gram[:, :1, :1].abs())
    power, root = gram, 1.0
    for _ in range(3):
        norm = frobenius_norm(power)[:, None, None]
        norm = torch.where(norm > 0, norm, 1.0)
        bound = bound * norm**root
        power = power / norm
        power = power @ power
        root /= 2
    # Every entry of a product of n terms is off by at most n u |A||B|, and all entries' norms are below 1 here.
    slack = 1 + 4 * (inner + gram.shape[-1]) * torch.finfo(gram.dtype).eps
    return (bound * slack).sqrt().clamp(min=2.0**-10)
