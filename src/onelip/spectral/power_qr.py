"""PowerQR, the simultaneous iteration by which FastClip extracts singular values."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from onelip.linalg.precision import full_precision
from onelip.spectral.affine_map import AffineMap, Function
from onelip.spectral.lanczos import random_rows
from onelip.spectral.singular_values import SingularValues, check_count, checked_start

_CONVERGED = 1e-3
"""Residuals relative to the largest value up to which the result is called converged."""


def power_qr(
    function: nn.Module | Function | AffineMap,
    input_shape: tuple[int, ...] | None = None,
    k: int = 1,
    n_iter: int = 20,
    *,
    start: Tensor | None = None,
    seed: int = 0,
) -> SingularValues:
    """Estimate the k largest singular values of an affine map by PowerQR; `singular_values` needs fewer steps.

    A step is `Q R = X + A^T A X`, `X <- Q`, with columns X. Directions grow by 1 + sigma^2, so the error shrinks by
    (1 + sigma_(k+1)^2) / (1 + sigma_k^2) a step, and nothing tells when it is small.

    The published estimates sqrt(|R_ii - 1|) are not read off: a QR factorisation leaves the signs of R_ii open, and a
    negative one gives sqrt(sigma^2 + 2); the first depend on the length of the start; and they can exceed sigma_i. The
    values here are the singular values of A on the span of the last X, which are at most the true ones of their rank,
    and the vectors are theirs.

    Args:
        function: A module or function of batches, or an `AffineMap` of one.
        input_shape: Shape of one input; None for an `AffineMap`, or a module that has but one, such as `nn.Linear`.
        k: How many; at most the lesser of the numbers of inputs and outputs.
        n_iter: Steps, each an application of A and one of its adjoint to k vectors; all of them are done.
        start: `(j, *input_shape)`, j <= k directions to start from; the others are random.
        seed: Of the random directions; torch's generators are left alone.

    Returns:
        Values and vectors; `converged` says whether all residuals are below 1e-3 of the largest value.

    Raises:
        ValueError: If an argument is out of its range, or the function has no singular values.

    Paper: Boroojeny, Telgarsky and Sundaram 2024, arXiv:2402.16017.
    """
    operator = function if isinstance(function, AffineMap) else AffineMap(function, input_shape)
    check_count(operator, input_shape, k)
    given = (
        torch.zeros(0, operator.n_inputs, device=operator.device) if start is None else checked_start(operator, start)
    )
    if n_iter < 1:
        raise ValueError(f"n_iter={n_iter} must be at least 1")
    if len(given) > k:
        raise ValueError(f"start has {len(given)} vectors; at most k={k} are iterated")
    with torch.inference_mode(False), torch.no_grad(), full_precision():
        drawn = random_rows(k - len(given), operator.n_inputs, torch.Generator("cpu").manual_seed(seed))
        drawn = drawn.to(operator.device, operator.dtype)
        x = torch.linalg.qr(torch.cat([given.to(drawn), drawn]).mT)[0].mT
        for _ in range(n_iter):
            grown = x + operator.adjoint(operator.apply(x, for_adjoint=True))
            x = torch.linalg.qr(grown.mT)[0].mT
        basis, triangle = torch.linalg.qr(operator.apply(x).mT)
        u, values, vh = torch.linalg.svd(triangle)
        left, right = (basis @ u).mT, vh @ x
        residuals = (operator.adjoint(left) - values[:, None] * right).norm(dim=1)
    return SingularValues(
        values.double().cpu(),
        left.reshape(k, *operator.output_shape),
        right.reshape(k, *operator.input_shape),
        residuals.double().cpu(),
        bool((residuals <= _CONVERGED * values[0]).all()),
        n_iter,
    )
