"""Mix branches by learned convex weights."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from typing_extensions import override

from onelip.layers.constrained import ConstrainedModule
from onelip.layers.plain import to_plain
from onelip.layers.residuals import Sum, branch_bound
from onelip.layers.scale import Scale
from onelip.linalg import Bound, add_up, down, multiply_up, up


class ConvexResidual(ConstrainedModule):
    """y = sum_i w_i f_i(x) with learned weights w = softmax(logits).

    The constant is at most sum_i w_i Lip(f_i), and so at most the largest of the branches' constants.
    A skip connection is the branch `nn.Identity()`. With it and one more branch this is `AdditiveResidual` with another
    parameter for the same weights; more branches share one unit of the signal. All weights start equal.

    Shape: any that the branches take; their outputs have one shape.

    Args:
        *branches: Modules.
        device: Device of the logits.
        dtype: Precision of the logits.

    Raises:
        ValueError: If there is no branch, or one is not a module.
    """

    def __init__(
        self, *branches: nn.Module, device: torch.device | str | None = None, dtype: torch.dtype | None = None
    ) -> None:
        super().__init__()
        if not branches or not all(isinstance(branch, nn.Module) for branch in branches):
            raise ValueError(f"branches={branches!r} in ConvexResidual must be one module or more")
        self.branches = nn.ModuleList(branches)
        self.logits = nn.Parameter(torch.zeros(len(branches), device=device, dtype=dtype))

    @override
    def forward(self, x: Tensor) -> Tensor:
        weights = self.logits.softmax(0).unbind()
        total: Tensor = weights[0] * self.branches[0](x)
        for weight, branch in zip(weights[1:], list(self.branches)[1:], strict=True):
            total = total + weight * branch(x)
        return total

    def weights(self) -> list[float]:
        """Weights of the branches.

        Returns:
            The softmax of the stored logits, each within a few roundings; their sum is at most 1 in exact arithmetic.

        Raises:
            ValueError: If a logit is NaN or infinite.
        """
        logits: list[float] = self.logits.detach().double().tolist()
        if not all(map(math.isfinite, logits)):
            raise ValueError(f"logits={logits} in ConvexResidual must be finite")
        powers = [math.exp(logit - max(logits)) for logit in logits]
        # The sum is within half a unit, so all quotients, rounded down, add up to less than 1.
        total = up(math.fsum(powers))
        return [max(0.0, down(power / total)) for power in powers]

    def bound_from(self, branches: Sequence[Bound]) -> Bound:
        """Bound this module, given bounds of its branches.

        Args:
            branches: One for each branch.

        Returns:
            The bound, proved if all of them are.
        """
        value = 0.0
        for weight, bound in zip(self.weights(), branches, strict=True):
            value = add_up(value, multiply_up(weight, bound.value))
        largest = max(bound.value for bound in branches)
        # Each weight is within a factor 1 + 2^-40 of the softmax: where its power is not zero, a difference of logits
        # is at most 745, and off by 2^-43; smaller powers are at most 2^-1000.
        value = add_up(multiply_up(value, 1 + 2.0**-40), multiply_up(largest, len(branches) * 2.0**-1000))
        return Bound(min(value, largest), all(bound.proved for bound in branches), "convex combination")

    @override
    def lipschitz_bound(self, input_shape: tuple[int, ...] | None = None) -> Bound:
        return self.bound_from([branch_bound(branch, input_shape) for branch in self.branches])

    @override
    def to_plain(self) -> nn.Module:
        pairs = zip(self.branches, self.weights(), strict=True)
        return Sum(*(nn.Sequential(to_plain(branch), Scale(weight)) for branch, weight in pairs)).eval()
