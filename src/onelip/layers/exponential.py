"""Dense layers whose weight is the exponential of a skew-symmetric matrix."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from typing_extensions import override

from onelip.layers.explicit import ExplicitLinear
from onelip.layers.registry import register
from onelip.linalg import exponential
from onelip.linalg.rotations import completed_rotation, rotation_log


@register(
    kind="linear",
    name="exponential",
    orthogonal=True,
    paper="Lezcano-Casado and Martinez-Rubio 2019, arXiv:1901.08428",
    cost="6 products of the larger side and one more for each doubling of the norm above 1/2, in float64",
)
class ExponentialLinear(ExplicitLinear):
    """Orthogonal dense layer: the matrix exponential of the skew part of a free matrix, W = exp((V - V^T) / 2).

    V has the larger of both sizes; fewer outputs (inputs) take the first rows (columns), so that every singular value
    is 1. Square weights are rotations (determinant 1); every rotation and every rectangular semi-orthogonal matrix is
    reached. It is the dense form of the skew orthogonal convolution, without truncation.

    `(..., in)` -> `(..., out)`. Assigning a weight projects it to the nearest such matrix: its polar factor, with the
    direction of the smallest singular value turned round if that is needed for a rotation.

    Args:
        in_features: Size of the input.
        out_features: Size of the output.
        bias: Add a learned bias?
        device: Device of the parameters.
        dtype: Precision of the parameters.

    Raises:
        ValueError: If a size is not a positive integer.

    Cost: see `onelip.linalg.exponential`.
    Paper: Lezcano-Casado and Martinez-Rubio 2019, arXiv:1901.08428; Singla and Feizi 2021, arXiv:2105.11417.
    """

    orthogonal = True

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(in_features, out_features, bias, device, dtype)
        size = max(in_features, out_features)
        self.raw_weight = nn.Parameter(torch.empty(size, size, device=device, dtype=dtype))
        # The angles of the rotation then spread over about [-2, 2].
        nn.init.normal_(self.raw_weight, std=(2 / size) ** 0.5)

    @override
    def constrain(self, *raw: Tensor) -> Tensor:
        return exponential(raw[0]).matrix[: self.out_features, : self.in_features]

    @override
    def right_inverse(self, weight: Tensor) -> tuple[Tensor, ...]:
        return (rotation_log(completed_rotation(weight)),)
