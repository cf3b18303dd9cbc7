"""Bjorck: dense layers orthogonalised by Bjorck's iteration."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from typing_extensions import override

from onelip.layers.orthogonal_linear import IterativeLinear
from onelip.layers.registry import register
from onelip.linalg import bjorck


@register(
    kind="linear",
    name="bjorck",
    orthogonal=True,
    paper="Anil, Lucas and Grosse 2019, arXiv:1811.05381",
    cost="(order + 1) products (out, in) x (in, in) for each of 1 to 26 steps",
)
class BjorckLinear(IterativeLinear):
    """Orthogonal dense layer: the polar factor of the raw weight by Bjorck's iteration.

    W <- W (I + 1/2 E + 3/8 E^2 + ...), E = I - W^T W, `order` terms after I, until ||E|| is below the precision. The
    raw weight is divided by a proved bound of its norm first, and no step overshoots 1.

    `(..., in)` -> `(..., out)`; every singular value is 1.

    Args:
        in_features: Size of the input.
        out_features: Size of the output.
        bias: Add a learned bias?
        device: Device of the parameters.
        dtype: Precision of the parameters.
        order: 1 to 4; higher orders take fewer and dearer steps.
        max_steps: Largest number of steps; None for what a raw weight of condition number 1e3 needs. With fewer the
            norm is still at most 1, but the layer no longer claims to be orthogonal.

    Raises:
        ValueError: If an argument is not allowed.

    Cost: see `onelip.linalg.bjorck`; one step if the raw weight was retracted.
    Paper: Anil, Lucas and Grosse 2019, arXiv:1811.05381, section 4.2; Bjorck and Bowie 1971.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        order: int = 1,
        max_steps: int | None = None,
    ) -> None:
        super().__init__(in_features, out_features, bias, device, dtype, max_steps=max_steps)
        if type(order) is not int or not 1 <= order <= 4:
            raise ValueError(f"order={order!r} in {type(self).__name__} must be 1, 2, 3 or 4")
        self.order = order

    @override
    def orthogonalise(self, raw: Tensor, *, tol: float | None = None) -> Tensor:
        return bjorck(raw, order=self.order, tol=tol, max_steps=self.max_steps).matrix

    @override
    def options(self) -> dict[str, Any]:
        return {"order": self.order, **super().options()}
