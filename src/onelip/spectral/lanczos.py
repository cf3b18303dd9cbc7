"""Block Golub-Kahan-Lanczos with thick restarts: the state of the search for the largest singular values."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from onelip.spectral.affine_map import AffineMap

_ROUNDING = 16
"""Directions shorter than this many rounding errors of the map are none."""

_DEPENDENT = 1e-3
"""Rows of length 1 are nearly dependent if they are together no longer than the root of this in some direction."""


@dataclass(frozen=True, eq=False)
class RitzValues:
    """Approximations to singular values in the subspace searched so far.

    Attributes:
        values: `(m,)` float64, falling.
        residuals: `(m,)` float64, ||A^T u - sigma v||.
        left: Coefficients of the left vectors, `(n_left, m)`.
        right: Of the right ones, `(n_right, m)`.
        complete: Does the subspace hold all right vectors with positive values?
    """

    values: Tensor
    residuals: Tensor
    left: Tensor
    right: Tensor
    complete: bool


class BlockLanczos:
    """Orthonormal blocks U and V with A V = U B, grown by a block of A and one of its adjoint a step.

    Rows of `right` span the Krylov space of A^T A and the start; both bases are orthogonalised in full, so repeated and
    vanishing values need no care. Small matrices are float64 on the CPU; the map is scaled by a power of 2 to norm near
    1, so that nothing overflows.

    Args:
        operator: The map A.
        start: `(block, n_inputs)`, the directions to start from.
        generator: Draws directions where the given ones are exhausted.
        most: The most rows of a basis before a restart.
    """

    def __init__(self, operator: AffineMap, start: Tensor, generator: torch.Generator, most: int) -> None:
        self.operator = operator
        self._generator = generator
        self._block = len(start)
        self._most = most
        dtype, device = operator.dtype, operator.device
        self._negligible = self._least = _ROUNDING * torch.finfo(dtype).eps
        self.right = torch.zeros(0, operator.n_inputs, dtype=dtype, device=device)
        self.left = torch.zeros(0, operator.n_outputs, dtype=dtype, device=device)
        self._projected = torch.zeros(0, 0, dtype=torch.float64, device="cpu")
        self._coupling = torch.zeros(0, 0, dtype=torch.float64, device="cpu")
        self.scale = 1.0
        self.n_iter = 0
        self._next = self._filled(orthonormal_rows(start, self.right, 0.0)[0], self._block)

    def step(self) -> RitzValues:
        """Apply A to the next block of the basis, and the adjoint to what is new in the images.

        Returns:
            The Ritz values of the larger bases.
        """
        new = self._next
        images = self.operator.apply(new, for_adjoint=True)
        if self.n_iter == 0:
            largest = float(images.double().norm(dim=1).max())
            self.scale = 2.0 ** round(math.log2(largest)) if largest > 0 else 1.0
        images = images / self.scale
        self.right = torch.cat([self.right, new])
        fresh, old_part, new_part = orthonormal_rows(images, self.left, self._negligible)
        self._projected = _bordered(self._projected, old_part, new_part)
        self.left = torch.cat([self.left, fresh])
        gradients = self.operator.adjoint(fresh) / self.scale if len(fresh) else fresh.new_zeros(0, self.right.shape[1])
        self._next, _, self._coupling = orthonormal_rows(gradients, self.right, self._negligible)
        self.n_iter += 1
        return self._ritz(len(fresh))

    def extend(self, ritz: RitzValues, keep: int) -> None:
        """Prepare the next step: restart with the best vectors if the bases are full, and fill up the next block.

        Args:
            ritz: What the last step returned.
            keep: How many vectors to keep at a restart.
        """
        if len(self.right) + self._block > max(self._most, keep + self._block):
            self.left, self.right = self.vectors(ritz, keep)
            self._projected = torch.diag(ritz.values[:keep] / self.scale)
        self._next = self._filled(self._next, min(self._block, self.operator.n_inputs - len(self.right)))

    def vectors(self, ritz: RitzValues, k: int) -> tuple[Tensor, Tensor]:
        """Compute the left and right vectors of the k largest Ritz values.

        Args:
            ritz: What the last step returned.
            k: How many, at most the lesser of the numbers of inputs and outputs.

        Returns:
            `(k, n_outputs)` and `(k, n_inputs)`, orthonormal rows. Left vectors that no image determines, as their
            value is 0, are drawn at random.
        """
        right = ritz.right[:, :k].mT.to(self.right) @ self.right
        left = ritz.left[:, :k].mT.to(self.left) @ self.left
        missing = k - len(left)
        if missing > 0:
            left = torch.cat([left, self._random(missing, left)])
        return left, right

    def _ritz(self, n_fresh: int) -> RitzValues:
        u, s, vh = torch.linalg.svd(self._projected, full_matrices=True)
        values = vh.new_zeros(len(vh))
        values[: len(s)] = s
        residuals = torch.zeros_like(values)
        if n_fresh and len(self._next):
            tail = u[len(u) - n_fresh :, : len(values)]
            residuals[: tail.shape[1]] = (tail.mT @ self._coupling).norm(dim=1)
        self._negligible = max(1.0, float(values[0])) * self._least
        complete = len(self._next) == 0
        return RitzValues(self.scale * values, self.scale * residuals, u, vh.mT, complete)

    def _filled(self, rows: Tensor, count: int) -> Tensor:
        missing = count - len(rows)
        if missing <= 0:
            return rows[:count]
        return torch.cat([rows, self._random(missing, torch.cat([self.right, rows]))])

    def _random(self, count: int, basis: Tensor) -> Tensor:
        drawn = basis.new_zeros(0, basis.shape[1])
        while len(drawn) < count:
            more = random_rows(count - len(drawn), basis.shape[1], self._generator).to(basis)
            drawn = torch.cat([drawn, orthonormal_rows(more, torch.cat([basis, drawn]), self._least)[0]])
        return drawn


def random_rows(count: int, n: int, generator: torch.Generator) -> Tensor:
    """Draw directions uniformly.

    Args:
        count: How many.
        n: Their dimension.
        generator: On the CPU.

    Returns:
        `(count, n)` float32 on the CPU, of length near 1.
    """
    return torch.randn(count, n, generator=generator, device="cpu") / n**0.5


def orthonormal_rows(rows: Tensor, basis: Tensor, least: float) -> tuple[Tensor, Tensor, Tensor]:
    """Write rows as `old @ basis + new @ fresh`, with fresh rows orthonormal and orthogonal to the basis.

    Args:
        rows: `(b, n)`.
        basis: `(m, n)`, orthonormal.
        least: What remains of a row besides the basis is nothing if it is not longer than this.

    Returns:
        At most b fresh rows, in the dtype of the rows; old and new, float64 on the CPU.
    """
    old = rows @ basis.mT
    rest = torch.addmm(rows, old, basis, alpha=-1.0) if len(basis) else rows
    fresh = _orthonormal(rest, least)
    new = rest @ fresh.mT
    # Once is enough for one row of which most remains, and twice for any; directions that consist of rounding errors
    # get shorter and are dropped.
    if len(rows) > 1 or (len(basis) and not old.norm() < new.norm()):
        fresh = _orthonormal(torch.addmm(fresh, fresh @ basis.mT, basis, alpha=-1.0), 0.5)
        new = rest @ fresh.mT
    return fresh, old.double().cpu(), new.double().cpu()


def _orthonormal(rows: Tensor, least: float) -> Tensor:
    # Orthonormal rows in the span of given ones, without the directions in which these are together no longer than
    # `least`. By their products if they are far from dependent, whatever their lengths.
    if len(rows) <= 1:
        length = torch.linalg.vector_norm(rows)
        return rows / length if length > least else rows[:0]
    products = (rows @ rows.mT).double().cpu()
    lengths = products.diagonal().clamp(min=0.0).sqrt()
    if least < lengths.min() and lengths.max() < math.inf:
        squares, directions = torch.linalg.eigh(products / (lengths[:, None] * lengths))
        if squares[0] > _DEPENDENT:
            return (directions / squares.sqrt() / lengths[:, None]).mT.to(rows) @ rows
    q, r = torch.linalg.qr(rows.mT)
    u, sizes, _ = torch.linalg.svd(r.cpu())
    return u[:, : len(sizes)][:, sizes > least].mT.to(q) @ q.mT


def _bordered(old: Tensor, old_part: Tensor, new_part: Tensor) -> Tensor:
    # The projected map after new columns: their parts along the old left vectors, and along the new ones.
    top = torch.cat([old, old_part.mT], dim=1)
    bottom = torch.cat([new_part.new_zeros(new_part.shape[1], old.shape[1]), new_part.mT], dim=1)
    return torch.cat([top, bottom])
