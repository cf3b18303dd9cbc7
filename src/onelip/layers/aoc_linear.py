"""AOC on one pixel: dense layers with the orthogonaliser of one's choice."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from typing_extensions import override

from onelip.layers.orthogonal_linear import OrthogonalLinear
from onelip.layers.projection import Projection, projection
from onelip.layers.registry import register


@register(
    kind="linear",
    name="aoc",
    orthogonal=True,
    paper="Boissin et al. 2025, arXiv:2501.08430",
    cost="one orthogonalisation of an (out, in) matrix",
)
class AOCLinear(OrthogonalLinear):
    """Orthogonal dense layer: `AOCConv2d` with a 1x1 kernel on one pixel, with the same choice of orthogonaliser.

    `(..., in)` -> `(..., out)`; every singular value is 1.

    Args:
        in_features: Size of the input.
        out_features: Size of the output.
        bias: Add a learned bias?
        device: Device of the parameters.
        dtype: Precision of the parameters.
        orthogonaliser: As in `AOCConv2d`.

    Raises:
        ValueError: If an argument is not allowed.

    Cost: that of the orthogonaliser; nothing at inference.
    Paper: as `AOCConv2d`.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        orthogonaliser: Projection = "polar-express",
    ) -> None:
        super().__init__(in_features, out_features, bias, device, dtype)
        projection(type(self).__name__, orthogonaliser)
        self.orthogonaliser = orthogonaliser

    @override
    def orthogonalise(self, raw: Tensor, *, tol: float | None = None) -> Tensor:
        return projection(type(self).__name__, self.orthogonaliser)(raw, tol=tol).matrix

    @override
    def options(self) -> dict[str, Any]:
        return {"orthogonaliser": self.orthogonaliser}
