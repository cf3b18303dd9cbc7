"""The largest singular values of an affine map, with their vectors."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from onelip.linalg.precision import full_precision
from onelip.spectral.affine_map import AffineMap, Function
from onelip.spectral.lanczos import BlockLanczos, RitzValues, random_rows
from onelip.spectral.plane_waves import plane_waves

_OVERSAMPLING = 2
"""Directions beside k: clusters at the k-th value converge faster, and one that is missed costs a step, not a value."""

_ADDED = 0.01
"""Of a random direction to a wave of length 1; a hundredth costs no step."""

_STEPS_KEPT = 5
_LEAST_ROWS = 48
"""A basis is restarted at so many blocks, but not below so many rows."""

_ROUNDING = 16
"""A tolerance below so many rounding errors is out of reach."""

_FASTEST, _SLOWEST = 0.75, 0.9
"""Growth that shrinks faster or more slowly than this from step to step is taken to shrink by it."""

_AFTER_TWO = 3.0
"""After two steps that much more than the second one brought is expected."""


@dataclass(frozen=True, eq=False)
class SingularValues:
    """The largest singular values of a linear map A, with their vectors: A v = sigma u.

    They are an estimate from below, not a proof: each value is at most the true one of its rank, up to rounding. Within
    its residual of each there is a singular value of A.

    Attributes:
        values: `(k,)` float64, falling.
        left: `(k, *output_shape)`, orthonormal.
        right: `(k, *input_shape)`, orthonormal.
        residuals: `(k,)` float64, ||A^T u - sigma v||: as far as this from sigma there is a singular value.
        converged: Were all estimated to be within the tolerance before the steps ran out?
        n_iter: How often A and its adjoint were applied to a block.
    """

    values: Tensor
    left: Tensor
    right: Tensor
    residuals: Tensor
    converged: bool
    n_iter: int


def singular_values(
    function: nn.Module | Function | AffineMap,
    input_shape: tuple[int, ...] | None = None,
    k: int = 1,
    tol: float = 1e-4,
    *,
    max_iter: int = 200,
    start: Tensor | None = None,
    seed: int = 0,
) -> SingularValues:
    """Find the k largest singular values of an affine map, and their vectors.

    Block Golub-Kahan-Lanczos with full orthogonalisation and thick restarts. It stops when the error of every value is
    estimated to be at most `tol` times the largest: the error of a Ritz value is at most its residual r, and r^2 / gap
    for a group of values that a gap separates from the rest; it is not taken to be less than what the growth of the
    last steps adds up to. Only the residual is a certificate.

    Args:
        function: A module or function of batches, or an `AffineMap` of one.
        input_shape: Shape of one input; None for an `AffineMap`, or a module that has but one, such as `nn.Linear`.
        k: How many; at most the lesser of the numbers of inputs and outputs.
        tol: Relative error of the values, with respect to the largest one. Not below a few rounding errors.
        max_iter: How often A and its adjoint are applied to a block, at most.
        start: `(j, *input_shape)`, directions to start from beside random ones, such as the right vectors of an
            earlier call.
        seed: Of the random directions; torch's generators are left alone.

    Returns:
        Values and vectors.

    Raises:
        ValueError: If an argument is out of its range, or the function has no singular values.
    """
    operator = function if isinstance(function, AffineMap) else AffineMap(function, input_shape)
    check_count(operator, input_shape, k)
    if not 0 < tol < 1:
        raise ValueError(f"tol={tol} must be between 0 and 1")
    if max_iter < 1:
        raise ValueError(f"max_iter={max_iter} must be at least 1")
    tol = max(tol, _ROUNDING * torch.finfo(operator.dtype).eps)
    with torch.inference_mode(False), torch.no_grad(), full_precision():
        generator = torch.Generator("cpu").manual_seed(seed)
        first = _directions(operator, start, k, generator)
        most = max(_STEPS_KEPT * len(first), _LEAST_ROWS)
        search = BlockLanczos(operator, first, generator, most)
        history: list[Tensor] = []
        while True:
            ritz = search.step()
            history = [*history[-2:], ritz.values[:k]]
            done = ritz.complete or bool((_errors(ritz, k, history) <= tol * ritz.values[0]).all())
            if done or search.n_iter == max_iter:
                break
            search.extend(ritz, min(k + len(first), len(ritz.values)))
        left, right = search.vectors(ritz, k)
    return SingularValues(
        ritz.values[:k],
        left.reshape(k, *operator.output_shape),
        right.reshape(k, *operator.input_shape),
        ritz.residuals[:k],
        done,
        search.n_iter,
    )


def check_count(operator: AffineMap, input_shape: tuple[int, ...] | None, k: int) -> None:
    """Check what every search for singular values is asked for.

    Args:
        operator: The map.
        input_shape: As the caller gave it.
        k: How many values are wanted.

    Raises:
        ValueError: If there are not so many, or the shape is not that of the map.
    """
    most = min(operator.n_inputs, operator.n_outputs)
    if not 1 <= k <= most:
        raise ValueError(f"k={k} must be from 1 to {most}, the lesser of the numbers of inputs and outputs")
    if input_shape is not None and tuple(input_shape) != operator.input_shape:
        raise ValueError(f"input_shape={input_shape} is not {operator.input_shape}, that of the AffineMap")


def checked_start(operator: AffineMap, start: Tensor) -> Tensor:
    """Lay out given directions as rows.

    Args:
        operator: The map.
        start: `(j, *input_shape)`.

    Returns:
        `(j, n_inputs)`, without gradient.

    Raises:
        ValueError: If the shape is another, or not all is finite.
    """
    if start.shape[1:] != operator.input_shape:
        raise ValueError(f"start of shape {tuple(start.shape)} must be (j, *{operator.input_shape})")
    if not start.isfinite().all():
        raise ValueError("start must be finite")
    return start.detach().reshape(-1, operator.n_inputs)


def _directions(operator: AffineMap, start: Tensor | None, k: int, generator: torch.Generator) -> Tensor:
    # Given or likely directions first, then at least one random one, all of the dtype and device of the map.
    n = operator.n_inputs
    given = plane_waves(operator, generator, k) if start is None else checked_start(operator, start)
    if k == 1 and start is None and len(given):
        # A wave for one value is near enough that a little of a random direction will do, for what the wave misses.
        drawn = random_rows(len(given), n, generator).to(operator.device, operator.dtype)
        return nn.functional.normalize(given.to(drawn)) + _ADDED * drawn
    drawn = random_rows(max(k + _OVERSAMPLING - len(given), 1), n, generator).to(operator.device, operator.dtype)
    return torch.cat([given.to(drawn), drawn])[:n]


def _errors(ritz: RitzValues, k: int, history: list[Tensor]) -> Tensor:
    # By how much each of the first k values is estimated to be below the true one.
    if len(history) < 2:
        return ritz.residuals[:k]
    squares, residual_sums = ritz.values.square(), ritz.residuals.square().cumsum(0)
    # Entry (i, m): the group of the m + 1 largest values, i among them, against the value after it.
    gaps = (squares[:k, None] - squares[None, 1:]).clamp(min=0.0)
    bounds = residual_sums[None, :-1] / gaps
    bounds = torch.where(bounds.isnan(), 0.0, bounds)
    order = torch.arange(len(squares), device=squares.device)
    members = order[None, :-1] >= order[:k, None]
    excess = torch.where(members, bounds, torch.inf).amin(1) if len(squares) > 1 else bounds.new_full((k,), torch.inf)
    by_gap = (squares[:k] + excess).sqrt() - ritz.values[:k]
    return torch.minimum(ritz.residuals[:k], torch.maximum(by_gap, _still_to_come(history)))


def _still_to_come(history: list[Tensor]) -> Tensor:
    # What growth that shrinks geometrically adds up to.
    if len(history) < 3:
        return _AFTER_TWO * (history[-1] - history[-2]).clamp(min=0.0)
    last, before = history[-1] - history[-2], history[-2] - history[-3]
    ratio = torch.where(before > 0, last / before, _SLOWEST).clamp(_FASTEST, _SLOWEST)
    return last.clamp(min=0.0) * ratio / (1 - ratio)
