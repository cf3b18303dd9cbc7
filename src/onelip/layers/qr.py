"""QR: dense layers orthogonalised by QR factorisation."""

from __future__ import annotations

from torch import Tensor
from typing_extensions import override

from onelip.layers.orthogonal_linear import OrthogonalLinear
from onelip.layers.registry import register
from onelip.linalg import qr


@register(
    kind="linear",
    name="qr",
    orthogonal=True,
    paper="Boissin et al. 2025, arXiv:2501.08430 (Orthogonium); Golub and Van Loan 2013, section 5.2",
    cost="one QR factorisation, and a product, a Cholesky factor and a triangular solve",
)
class QRLinear(OrthogonalLinear):
    """Orthogonal dense layer: the factor Q of a QR factorisation W = Q R whose R has a positive diagonal.

    Columns are orthonormalised in order, as by Gram-Schmidt (rows if out < in). Every raw weight, zero included, gives
    an orthogonal one.

    `(..., in)` -> `(..., out)`; every singular value is 1.

    Args:
        in_features: Size of the input.
        out_features: Size of the output.
        bias: Add a learned bias?
        device: Device of the parameters.
        dtype: Precision of the parameters.
        depth: Number of such layers in a network of residual ones: what is orthogonalised is then
            I + depth^-1/2 diag(gamma) W with learned W and gamma, near the identity at first. None for W itself.

    Raises:
        ValueError: If a size or the depth is not a positive integer.

    Cost: see `onelip.linalg.qr`.
    Paper: Golub and Van Loan 2013, Matrix Computations, section 5.2; Boissin et al. 2025, arXiv:2501.08430.
    """

    @override
    def orthogonalise(self, raw: Tensor, *, tol: float | None = None) -> Tensor:
        return qr(raw, tol=tol).matrix
