"""Parameter groups of matrices beside those of all else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn

from onelip.layers import OrthogonalBlock


def block_groups(model: nn.Module, blocks: Sequence[OrthogonalBlock], **of_others: Any) -> list[dict[str, Any]]:
    """Divide a model's parameters into matrices and others.

    Args:
        model: Any module.
        blocks: The parameters that are matrices.
        **of_others: Options of the group of others.

    Returns:
        The group of matrices with the key "shapes", and that of all other parameters; empty groups are left out.
    """
    taken = {id(block.parameter) for block in blocks}
    others = [p for p in model.parameters() if id(p) not in taken]
    matrices = {"params": [b.parameter for b in blocks], "shapes": [b.shape for b in blocks]}
    return [group for group in (matrices, {"params": others, **of_others}) if group["params"]]
