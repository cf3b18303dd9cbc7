"""Branches that read the same input, whose outputs are put side by side."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from typing_extensions import override

from onelip.layers.residuals import branch_bound
from onelip.linalg import Bound


class Join(nn.Module):
    """Apply branches to the same input and concatenate what they give along axis 1.

    The constant is at most the root of the sum of the squares of theirs, or the largest of them in l_inf. At the end of
    a network, certificates also use the constants of the branches: logits i and j of different branches differ by a
    function of constant L_i + L_j, so separate networks for the classes, each 1-Lipschitz, have radii of half their
    margins.

    Shape: what the branches take, to `(N, sum of their channels, ...)`.

    Args:
        *branches: Modules whose outputs differ in axis 1 alone.

    Raises:
        ValueError: If there is none.
    """

    def __init__(self, *branches: nn.Module) -> None:
        super().__init__()
        if not branches:
            raise ValueError("branches=() in Join must have at least one module")
        self.branches = nn.ModuleList(branches)

    @override
    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([branch(x) for branch in self.branches], 1)

    def lipschitz_bound(self, input_shape: tuple[int, ...] | None = None) -> Bound:
        """Bound all branches together.

        Args:
            input_shape: Shape of one input, if known.

        Returns:
            The root of the sum of the squares of their bounds, rounded up.
        """
        first, *others = (branch_bound(branch, input_shape) for branch in self.branches)
        for other in others:
            first = first.stack(other)
        return first
