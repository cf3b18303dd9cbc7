"""Unit-norm rows: dense layers of which every output is 1-Lipschitz by itself."""

from __future__ import annotations

import torch
from torch import Tensor
from typing_extensions import override

from onelip.layers.explicit import ExplicitLinear
from onelip.layers.projection import random_orthogonal
from onelip.layers.registry import register
from onelip.linalg import Bound, matrix_norm_bound
from onelip.linalg.operator_norm import operator_norm

_NOT_SHORT = "each output is 1-Lipschitz by itself; the norm of all together may reach sqrt(out), and is proved as such"


@register(
    kind="linear",
    name="unit-norm",
    paper="Singla, Singla and Feizi 2022, arXiv:2108.04062 (last-layer normalisation)",
    cost="one norm per row",
    exceptions={
        "norm_over_shapes": _NOT_SHORT,
        "norm_over_states": _NOT_SHORT,
    },
)
class UnitNormLinear(ExplicitLinear):
    """Dense layer with rows of norm 1, so that every output is 1-Lipschitz in l2.

    w_i = r_i / ||r_i||; zero rows stay zero. All outputs together have a norm up to sqrt(out), so this is for the last
    layer, where margins between two outputs count: the difference of outputs i and j is ||w_i - w_j||-Lipschitz.
    `lipschitz_bound` proves the norm of the whole weight, `row_norm_bounds` those of the rows.

    `(..., in)` -> `(..., out)`. Starts with orthogonal rows as far as there is room.

    Args:
        in_features: Size of the input.
        out_features: Size of the output.
        bias: Add a learned bias?
        device: Device of the parameters.
        dtype: Precision of the parameters.

    Raises:
        ValueError: If a size is not a positive integer.

    Cost: one norm per row.
    Paper: Singla, Singla and Feizi 2022, arXiv:2108.04062, section 5.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(in_features, out_features, bias, device, dtype)
        self.raw_weight = torch.nn.Parameter(torch.empty(out_features, in_features, device=device, dtype=dtype))
        with torch.no_grad():
            self.raw_weight.copy_(_unit_rows(random_orthogonal(self.raw_weight)))

    def row_norm_bounds(self) -> tuple[Bound, ...]:
        """Prove an upper bound of the norm of each row that eval uses.

        Returns:
            One bound for each output.
        """
        return tuple(matrix_norm_bound(row[None]) for row in self.eval_weight())

    def norm_estimate(self) -> Tensor:
        """Bound the norm of the whole weight, for training where this is not the last layer.

        Returns:
            A scalar by Gram iteration, differentiable and not rounded up.
        """
        return operator_norm(self.weight[:, :, None, None])[0]

    @override
    def constrain(self, *raw: Tensor) -> Tensor:
        return _unit_rows(raw[0])

    @override
    def retraction(self, *raw: Tensor) -> tuple[Tensor, ...]:
        return (_unit_rows(raw[0]),)

    @override
    def right_inverse(self, weight: Tensor) -> tuple[Tensor, ...]:
        return (_unit_rows(weight),)


def _unit_rows(raw: Tensor) -> Tensor:
    # The largest entry first, so that squares neither overflow nor vanish.
    peak = raw.detach().abs().amax(1, keepdim=True)
    raw = raw / torch.where(peak > 0, peak, 1.0)
    square = (raw * raw).sum(1, keepdim=True)
    return raw * torch.where(square > 0, square, 1.0).rsqrt()
