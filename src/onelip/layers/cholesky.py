"""CHORD: dense layers orthogonalised by Cholesky factors."""

from __future__ import annotations

from torch import Tensor
from typing_extensions import override

from onelip.layers.orthogonal_linear import OrthogonalLinear
from onelip.layers.registry import register
from onelip.linalg import cholesky


@register(
    kind="linear",
    name="cholesky",
    orthogonal=True,
    paper="Hu, Leino, Wang and Fredrikson 2024, arXiv:2310.02513",
    cost="two Gram products, Cholesky factors and triangular solves of the smaller side, and a polish",
)
class CholeskyLinear(OrthogonalLinear):
    """Orthogonal dense layer by Cholesky factors of the Gram matrix (CHORD), twice: Q = W R^-1, R^T R = W^T W + e I.

    The ridge e is a few units of rounding of the trace, so that the factor exists for every raw weight, zero included,
    and the result never exceeds 1. Columns are orthonormalised in order, as by Gram-Schmidt (rows if out < in).

    `(..., in)` -> `(..., out)`; every singular value is 1.

    Args:
        in_features: Size of the input.
        out_features: Size of the output.
        bias: Add a learned bias?
        device: Device of the parameters.
        dtype: Precision of the parameters.
        depth: Number of such layers in the network, for the residual layers of the paper: what is orthogonalised is
            I + depth^-1/2 diag(gamma) W with learned W and gamma, so that the layer starts near the identity, with zero
            bias. None for a W that is orthogonalised itself and starts at random.

    Raises:
        ValueError: If an argument is not allowed.

    Cost: see `onelip.linalg.cholesky`.
    Paper: Hu, Leino, Wang and Fredrikson 2024, arXiv:2310.02513; Yamamoto et al. 2015 (CholeskyQR2).
    """

    @override
    def orthogonalise(self, raw: Tensor, *, tol: float | None = None) -> Tensor:
        return cholesky(raw, tol=tol).matrix
