"""Singular values of batches of matrices lowered by a threshold, with the large ones followed from step to step."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

_ALL_EVERY = 8
"""So often all singular values are found; in between those near the space of the last large ones are."""

_FOLLOWED = 0.3
"""Spaces of more than this share of the dimension are not worth following."""

_LEAST_FOLLOWED = 32
"""Nor are small matrices."""

_BESIDE = 4
_GROWTH = 1.25


@dataclass(frozen=True, eq=False)
class Factors:
    """Matrices by their factors, `left^H right`, in blocks.

    Attributes:
        left: `(..., r, m)`.
        right: `(..., r, n)`.
    """

    left: Tensor
    right: Tensor

    @property
    def full(self) -> Tensor:
        """The matrices, `(..., m, n)`."""
        return self.left.mH @ self.right


class Shrinking:
    """U (S - t)_+ V^H of a batch of matrices U S V^H, for calls with matrices that change little.

    From the products X^H X, in their precision: values far below the largest are inexact, but those near the threshold
    and above are what counts. Where few values are above, one step of subspace iteration follows them, so that what is
    returned is that of a part of the matrix, and all is found again every few calls.
    """

    def __init__(self) -> None:
        self._calls = 0
        self._basis: Tensor | None = None

    def __call__(self, matrices: Tensor, threshold: Tensor) -> tuple[Factors, Tensor]:
        """Lower singular values by a threshold.

        Args:
            matrices: `(..., m, n)`.
            threshold: `(...)`, positive.

        Returns:
            The lowered matrices, and what is left of their singular values, `(..., r)`.
        """
        tall = matrices if matrices.shape[-2] >= matrices.shape[-1] else matrices.mH
        n = tall.shape[-1]
        if self._basis is None or self._calls % _ALL_EVERY == 0:
            squares, vectors = torch.linalg.eigh(tall.mH @ tall)
        else:
            q, _ = torch.linalg.qr(tall.mH @ (tall @ self._basis))
            images = tall @ q
            squares, vectors = torch.linalg.eigh(images.mH @ images)
            vectors = q @ vectors
        self._calls += 1
        sizes = squares.clamp(min=0).sqrt()
        shrunk = (sizes - threshold[..., None]).clamp(min=0)
        rank = max(1, int((shrunk > 0).sum(-1).max()))
        followed = int(_GROWTH * rank) + _BESIDE
        worth = n >= _LEAST_FOLLOWED and followed <= _FOLLOWED * n
        self._basis = vectors[..., -followed:] if worth else None
        vectors, sizes, shrunk = vectors[..., -rank:], sizes[..., -rank:], shrunk[..., -rank:]
        share = torch.where(shrunk > 0, shrunk / sizes, 0.0)
        left, right = (tall @ (vectors * share[..., None, :])).mH, vectors.mH
        return (Factors(left, right) if tall is matrices else Factors(right, left)), shrunk

    def norms_from_below(self, matrices: Tensor) -> Tensor:
        """Estimate the norms of a batch of matrices whose large values are those followed.

        Args:
            matrices: `(..., m, n)`.

        Returns:
            `(...)`, at most the norms, and the norms if none is followed.
        """
        if self._basis is None:
            return spectral_norms(matrices)
        tall = matrices if matrices.shape[-2] >= matrices.shape[-1] else matrices.mH
        return spectral_norms(tall @ self._basis)


def spectral_norms(matrices: Tensor) -> Tensor:
    """Give the largest singular values of a batch of matrices, by their products with themselves.

    Args:
        matrices: `(..., m, n)`.

    Returns:
        `(...)`, real.
    """
    tall = matrices if matrices.shape[-2] >= matrices.shape[-1] else matrices.mH
    return torch.linalg.eigvalsh(tall.mH @ tall)[..., -1].clamp(min=0).sqrt()
