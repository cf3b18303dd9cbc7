"""Switch a model's layers to raw parameters that are orthogonal themselves."""

from __future__ import annotations

from torch import nn

from onelip.layers.explicit_weight import ExplicitWeight
from onelip.layers.orthogonal_block import OrthogonalBlock


def on_manifold_(model: nn.Module) -> list[OrthogonalBlock]:
    """Let layers use their orthogonal raw parameters as they are in training, with no constraint code.

    For optimisers that stay on the manifold, such as `onelip.optim.ManifoldAdam`, which declare after each step that
    the parameters are orthogonal. Anyone else's change of a parameter is noticed, and its layer orthogonalises until
    the next such step. So the norm is at most 1 in every state, in training but for the tolerance of the optimiser.
    Eval, proofs and `to_plain` orthogonalise in float64 as before. Keys of the state are the same in both modes.

    Args:
        model: Any module; dense orthogonal layers, AOC, BCOP, RKO and LipNeXt convolutions are switched, in place, and
            others left as they are. The function stays the same.

    Returns:
        The parameters that are to stay orthogonal: those that learn, each once.
    """
    blocks: dict[int, OrthogonalBlock] = {}
    for module in model.modules():
        if not isinstance(module, ExplicitWeight) or not module.orthogonal_blocks():
            continue
        module.switch_to_manifold_()
        for block in module.orthogonal_blocks():
            if block.parameter.requires_grad:
                blocks.setdefault(id(block.parameter), block)
    return list(blocks.values())
