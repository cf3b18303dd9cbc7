"""The published clipping step of FastClip, for comparisons."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from onelip.layers.plain import evaluating
from onelip.linalg.precision import full_precision
from onelip.spectral.affine_map import AffineMap
from onelip.spectral.warm_clip import WarmClipped
from onelip.spectral.weighted_map import WeightedMap

_POWER_STEPS = 10
_INNER_STEPS = 5
_STEP_SIZE = 0.35
_STEP_SIZE_OF_COMPOSITES = 0.01


def published_clip_(
    module: nn.Module, input_shape: tuple[int, ...], max_norm: float, start: Tensor | None = None
) -> WarmClipped:
    """Do one clipping step of FastClip with its published settings, on an affine module in eval mode.

    One direction v is followed for 10 steps of PowerQR, v <- (v + A^T A v) / |v + A^T A v|. If s = |A v| is above
    max_norm, 5 gradient steps of size 0.35 (0.01 for modules of several layers) lower |(max_norm / s) A v - A' v|^2
    over the weights of A', divided by the sizes of all axes of the output but the first two, as published. One step
    leaves the norm above max_norm, and so do many, if many values are close; `warm_clip_` does not.

    Unlike in the published code, modules below are left alone, and statistics, gradients and modes stay.

    Args:
        module: In place, its weights change and nothing else.
        input_shape: Shape of one input, without the batch.
        max_norm: Positive.
        start: `(1, *input_shape)`, the vector of an earlier call; None for a random one.

    Returns:
        The norm before, the norm after in the same direction, and the vector.

    Paper:
        Boroojeny, Telgarsky and Sundaram 2024, arXiv:2402.16017, algorithms 1 and 2.
    """
    operator = AffineMap(module, input_shape)
    v = _power_steps(operator, start)
    image = operator.apply(v)
    before = float(image.norm())
    if before <= max_norm:
        return WarmClipped(v.reshape(1, *input_shape), before, before, 0)
    target = image * (max_norm / before)
    size = _STEP_SIZE_OF_COMPOSITES if any(True for _ in module.children()) else _STEP_SIZE
    divisor = math.prod(operator.output_shape[2:])
    with evaluating(module), torch.inference_mode(False), full_precision():
        weights = WeightedMap(module, input_shape)
        w = weights.start
        for _ in range(_INNER_STEPS):
            w = w.detach().requires_grad_()
            with torch.enable_grad():
                loss = (weights.apply(w, v) - target).square().sum() / divisor
            w = w - size * torch.autograd.grad(loss, w)[0]
        weights.write_(w.detach())
    after = float(AffineMap(module, input_shape).apply(v).norm())
    return WarmClipped(v.reshape(1, *input_shape), before, after, 1)


def _power_steps(operator: AffineMap, start: Tensor | None) -> Tensor:
    if start is None:
        start = torch.randn(1, operator.n_inputs, generator=torch.Generator().manual_seed(0))
    v = start.reshape(1, -1).to(operator.device, operator.dtype)
    for _ in range(_POWER_STEPS):
        v = v + operator.adjoint(operator.apply(v))
        v = v / v.norm()
    return v
