"""Newton-Schulz: dense layers orthogonalised by the quintic Newton-Schulz iteration."""

from __future__ import annotations

from torch import Tensor
from typing_extensions import override

from onelip.layers.orthogonal_linear import IterativeLinear
from onelip.layers.registry import register
from onelip.linalg import newton_schulz


@register(
    kind="linear",
    name="newton-schulz",
    orthogonal=True,
    paper="Kovarik 1970; Higham 2008, Functions of Matrices, section 8.3",
    cost="3 products (out, in) x (in, in) for each of 1 to 17 steps",
)
class NewtonSchulzLinear(IterativeLinear):
    """Orthogonal dense layer: the polar factor of the raw weight by W <- W (15/8 I - 10/8 G + 3/8 G^2), G = W^T W.

    The coefficients never overshoot 1, unlike those tuned for optimisers.

    `(..., in)` -> `(..., out)`; every singular value is 1.

    Args:
        in_features: Size of the input.
        out_features: Size of the output.
        bias: Add a learned bias?
        device: Device of the parameters.
        dtype: Precision of the parameters.
        max_steps: Largest number of steps; None for what a raw weight of condition number 1e3 needs. With fewer the
            norm is still at most 1, but the layer no longer claims to be orthogonal.

    Raises:
        ValueError: If an argument is not allowed.

    Cost: see `onelip.linalg.newton_schulz`; one step if the raw weight was retracted.
    Paper: Kovarik 1970; Higham 2008, Functions of Matrices, section 8.3.
    """

    @override
    def orthogonalise(self, raw: Tensor, *, tol: float | None = None) -> Tensor:
        return newton_schulz(raw, tol=tol, max_steps=self.max_steps).matrix
