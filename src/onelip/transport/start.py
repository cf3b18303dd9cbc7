"""Where the kinks of a critic are before its training."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from onelip.layers.plain import evaluating

Hook = Callable[[nn.Module, tuple[Any, ...], Any], Any]


@torch.no_grad()
def center_biases_(critic: nn.Module, x: Tensor) -> int:
    """Move the biases of affine layers so that the outputs of each have mean zero over samples, first layers first.

    Activations then bend in the midst of the samples. Torch's biases are as large as weights of independent entries
    need them; those of orthogonal layers with few inputs are smaller, so that most activations bend far away from all
    samples. There the network is linear, and a training can stay with the best linear critic.

    Args:
        critic: Changed in place; other parameters than biases stay.
        x: `(n, *shape)` samples of both distributions, of the critic's type and device.

    Returns:
        How many layers were moved. Those whose output does not follow their bias, such as sandwich layers, are not.
    """
    moved: list[nn.Module] = []

    def hook(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> Any:
        shifted = _shifted(module, inputs, output)
        if shifted is None:
            return output
        moved.append(module)
        return shifted

    with evaluating(critic):
        affine = [module for module in critic.modules() if isinstance(getattr(module, "bias", None), nn.Parameter)]
        handles = [module.register_forward_hook(hook) for module in affine]
        try:
            critic(x)
        finally:
            for handle in handles:
                handle.remove()
    return len(moved)


def _shifted(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> Tensor | None:
    bias: Any = module.bias
    if not isinstance(output, Tensor) or output.ndim < 2 or bias.shape != output.shape[1:2]:
        return None
    mean = output.transpose(0, 1).flatten(1).mean(dim=1)
    if not mean.isfinite().all():
        return None
    expected = output - mean.view(-1, *(1,) * (output.ndim - 2))
    before = bias.clone()
    bias.sub_(mean)
    found = module.forward(*inputs)
    if torch.allclose(found, expected, rtol=1e-4, atol=1e-4 * float(output.abs().max())):
        return found
    bias.copy_(before)
    return None
