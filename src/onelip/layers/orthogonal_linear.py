"""The base of dense layers whose weight is a projection of the raw weight onto the orthogonal matrices."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import torch
from torch import Tensor, nn
from typing_extensions import override

from onelip.layers.conv_arguments import positive_int
from onelip.layers.explicit import ExplicitLinear
from onelip.layers.near_identity import near_identity, near_identity_inverse, near_identity_parameters
from onelip.layers.orthogonal_block import OrthogonalBlock
from onelip.layers.projection import RETRACTED, orthogonal_parameter
from onelip.linalg.polar import polar_factor


class OrthogonalLinear(ExplicitLinear):
    """Base of orthogonal dense layers; a subclass names its orthogonaliser.

    `(..., in)` -> `(..., out)`. Every singular value of the weight is 1: orthonormal columns if out >= in, orthonormal
    rows otherwise. A raw weight of condition number beyond 1e3 may leave small ones below 1, and zero stays zero.

    Args:
        in_features: Size of the input.
        out_features: Size of the output.
        bias: Add a learned bias?
        device: Device of the parameters.
        dtype: Precision of the parameters.
        depth: Number of such layers in a network of residual ones, where what is orthogonalised is
            I + depth^-1/2 diag(gamma) W with learned W and gamma, so that a layer starts near the identity, with zero
            bias; None for W itself, which starts at random.

    Raises:
        ValueError: If an argument is not a positive integer.
    """

    orthogonal = True
    raw_names = ("raw_weight", "gamma")

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        depth: int | None = None,
    ) -> None:
        super().__init__(in_features, out_features, bias, device, dtype)
        self.depth = None if depth is None else positive_int(type(self).__name__, "depth", depth)
        self.gamma: nn.Parameter | None = None
        if depth is None:
            self.raw_weight = orthogonal_parameter(out_features, in_features, device=device, dtype=dtype)
            return
        self.raw_weight, self.gamma = near_identity_parameters(
            out_features, in_features, fan=in_features, device=device, dtype=dtype
        )
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    @abstractmethod
    def orthogonalise(self, raw: Tensor, *, tol: float | None = None) -> Tensor:
        """Project a matrix; one that is orthogonal comes back.

        Args:
            raw: (out, in).
            tol: Residual to stop at, or None for the default of the precision.

        Returns:
            A semi-orthogonal matrix of that shape.
        """

    @override
    def constrain(self, *raw: Tensor) -> Tensor:
        return self.orthogonalise(raw[0] if self.depth is None else near_identity(*raw, depth=self.depth))

    @override
    def compose(self, *raw: Tensor) -> Tensor:
        return raw[0]

    @override
    def _composed(self) -> Tensor:
        # As `_build` would give it, without its overhead, which counts for small layers.
        return self.raw_weight

    @override
    def orthogonal_blocks(self) -> tuple[OrthogonalBlock, ...]:
        # What is added to the identity is not orthogonal.
        return () if self.depth is not None else (OrthogonalBlock(self.raw_weight, (1, *self.raw_weight.shape)),)

    @override
    def retraction(self, *raw: Tensor) -> tuple[Tensor, ...]:
        return raw if self.depth is not None else (self.orthogonalise(raw[0], tol=RETRACTED),)

    @override
    def right_inverse(self, weight: Tensor) -> tuple[Tensor, ...]:
        nearest = polar_factor(weight)
        return (nearest,) if self.depth is None else near_identity_inverse(nearest, self.depth)

    @override
    def options(self) -> dict[str, Any]:
        return {"depth": self.depth}


class IterativeLinear(OrthogonalLinear):
    """Base of orthogonal dense layers whose orthogonaliser is an iteration, which may be stopped early.

    Args:
        in_features: Size of the input.
        out_features: Size of the output.
        bias: Add a learned bias?
        device: Device of the parameters.
        dtype: Precision of the parameters.
        max_steps: Largest number of steps; None for what a raw weight of condition number 1e3 needs, and fewer where
            the residual allows. No step count lets the norm exceed 1, but a small one leaves singular values below 1,
            so that the layer does not call itself orthogonal.

    Raises:
        ValueError: If an argument is not allowed.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        max_steps: int | None = None,
    ) -> None:
        super().__init__(in_features, out_features, bias, device, dtype)
        self.max_steps = None if max_steps is None else positive_int(type(self).__name__, "max_steps", max_steps)
        self.orthogonal = max_steps is None

    @override
    def retraction(self, *raw: Tensor) -> tuple[Tensor, ...]:
        # An iteration that is stopped early would go on from where it got to.
        return super().retraction(*raw) if self.max_steps is None else raw

    @override
    def options(self) -> dict[str, Any]:
        return {"max_steps": self.max_steps}
