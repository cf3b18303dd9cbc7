"""Householder: dense layers whose weight is a product of reflections."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from typing_extensions import override

from onelip.layers.conv_arguments import positive_int
from onelip.layers.explicit import ExplicitLinear
from onelip.layers.registry import register
from onelip.linalg import householder

_SHORT = 1e-7
"""Length below which a normal is left to chance: what it would reflect is in place to that accuracy."""


def reflection_normals(q: Tensor, count: int) -> Tensor:
    """Write orthonormal columns as the first columns of a product of reflections H_1 ... H_count.

    Each reflection is the one that maps Q x to E x, E the first columns of the identity, for the next right singular
    vector x of Q - E, and leaves the earlier ones in place; the rank of Q - E falls by one each time, so that `count`
    reflections are enough if they ever are. Where one is not needed, a normal orthogonal to all that is in place is
    taken, never zero, since a zero normal would not learn.

    Args:
        q: (m, n) with orthonormal columns, m >= n; for m = n of determinant (-1)^count.
        count: Number of reflections, at most n.

    Returns:
        (m, count) unit normals.
    """
    m, n = q.shape
    eye = torch.eye(m, n, dtype=q.dtype, device=q.device)
    directions = torch.linalg.svd(q - eye).Vh
    normals = []
    for i in range(count):
        x = directions[i]
        v = (q - eye) @ x
        if torch.linalg.vector_norm(v) < _SHORT:
            v = torch.zeros_like(v)
            if m > n:
                v[-1] = 1
            else:
                v[:n] = directions[min(i + 1, n - 1)]
        v = v / torch.linalg.vector_norm(v)
        q = q - 2 * torch.outer(v, v @ q)
        normals.append(v)
    return torch.stack(normals, 1)


@register(
    kind="linear",
    name="householder",
    orthogonal=True,
    paper="Mhammedi, Hellicar, Rahman and Bailey 2017, arXiv:1612.00188; Joffrain et al. 2006 (compact form)",
    cost="two products and one triangular solve, in float64",
)
class HouseholderLinear(ExplicitLinear):
    """Orthogonal dense layer: a product of r reflections, W = the first columns (or rows) of H_1 H_2 ... H_r.

    H_i = I - 2 v_i v_i^T / |v_i|^2, multiplied out in compact form, H_1 ... H_r = I - V T V^T with T upper triangular,
    by one triangular solve and no LU. r = min(in, out) reaches every semi-orthogonal matrix, for square ones every one
    of determinant (-1)^r, which no training changes; fewer reflections leave a subspace of dimension n - r as it is.

    `(..., in)` -> `(..., out)`; every singular value is 1, from any raw weight, zero included (v_i = 0 gives H_i = I).

    Args:
        in_features: Size of the input.
        out_features: Size of the output.
        bias: Add a learned bias?
        device: Device of the parameters.
        dtype: Precision of the parameters.
        n_reflections: r, from 1 to min(in, out); None for min(in, out).

    Raises:
        ValueError: If an argument is not allowed.

    Cost: see `onelip.linalg.householder`; nothing at inference.
    Paper: Mhammedi, Hellicar, Rahman and Bailey 2017, arXiv:1612.00188; Joffrain, Low, Quintana-Orti, van de Geijn and
    Van Zee 2006 (compact form).
    """

    orthogonal = True

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        n_reflections: int | None = None,
    ) -> None:
        super().__init__(in_features, out_features, bias, device, dtype)
        owner, most = type(self).__name__, min(in_features, out_features)
        self.n_reflections = most if n_reflections is None else positive_int(owner, "n_reflections", n_reflections)
        if self.n_reflections > most:
            raise ValueError(
                f"n_reflections={n_reflections} in {owner} must be at most min(in_features, out_features)={most}"
            )
        r = self.n_reflections
        shape = (out_features, r) if out_features >= in_features else (r, in_features)
        self.raw_weight = nn.Parameter(torch.empty(shape, device=device, dtype=dtype))
        nn.init.normal_(self.raw_weight)

    @override
    def constrain(self, *raw: Tensor) -> Tensor:
        # Reflections along zero normals are the identity.
        missing = min(self.in_features, self.out_features) - self.n_reflections
        padding = (0, missing) if self.out_features >= self.in_features else (0, 0, 0, missing)
        return householder(F.pad(raw[0], padding) if missing else raw[0]).matrix

    @override
    def right_inverse(self, weight: Tensor) -> tuple[Tensor, ...]:
        wide = self.out_features < self.in_features
        u, _, vh = torch.linalg.svd(weight.mT if wide else weight, full_matrices=False)
        q = u @ vh
        if q.shape[0] == q.shape[1] and _reverses(q) != bool(self.n_reflections % 2):
            # The nearest orthogonal matrix of the other determinant differs along the smallest singular value.
            u = torch.cat([u[:, :-1], -u[:, -1:]], 1)
            q = u @ vh
        normals = reflection_normals(q, self.n_reflections)
        return (normals.mT if wide else normals,)

    @override
    def options(self) -> dict[str, Any]:
        return {"n_reflections": self.n_reflections}


def _reverses(q: Tensor) -> bool:
    # The determinant of a square orthogonal matrix from its QR factors, a product of reflections and a triangle.
    factors, tau = torch.geqrf(q)
    flips = torch.count_nonzero(tau) + torch.count_nonzero(factors.diagonal() < 0)
    return bool(flips % 2)
