"""Find the dense layer that a chain of modules ends with, whose pairs of rows certificates use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from onelip.layers import ChannelKeep, ExplicitLinear


@dataclass(frozen=True, eq=False)
class DenseHead:
    """The dense layer at the end of a chain.

    Attributes:
        index: Its position in the chain.
        layer: The layer.
        n_classes: Logits that are kept of its outputs, the first ones.
    """

    index: int
    layer: nn.Linear | ExplicitLinear
    n_classes: int

    def rows(self) -> Tensor:
        """Build the rows that make the logits.

        Returns:
            `(n_classes, features)`; differentiable in training.
        """
        return self.layer.weight[: self.n_classes]


def dense_head(chain: Sequence[nn.Module | None]) -> DenseHead | None:
    """Look back from the end of a chain, through what keeps classes or leaves vectors as they are.

    Args:
        chain: Modules in the order of execution; None for what is no module.

    Returns:
        The head, or None if the chain ends otherwise.
    """
    keep: int | None = None
    for index in reversed(range(len(chain))):
        module = chain[index]
        if isinstance(module, ChannelKeep):
            keep = module.out_channels if keep is None else keep
        elif isinstance(module, nn.Linear | ExplicitLinear):
            return DenseHead(index, module, module.out_features if keep is None else keep)
        elif not isinstance(module, nn.Flatten | nn.Identity):
            return None
    return None
