"""Gouk et al.: weights divided by their norm, where that exceeds the one allowed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from onelip.layers.conv_arguments import positive_int
from onelip.linalg import full_precision
from onelip.spectral.singular_values import singular_values
from onelip.spectral.weighted_parts import checked_norm, scaling_parameter, weighted_parts

_TOL = 1e-4
SLACK = 5e-4
"""Excess that is left alone: above the tolerance of the measurement, so that scaled weights are not scaled again."""


def scale_(module: nn.Module, max_norm: float, input_shape: tuple[int, ...]) -> float:
    """Divide the weight of an affine module by max(1, sigma / max_norm), in place.

    Sigma is the largest singular value of the module itself, with its stride, padding, padding mode, dilation and
    groups at this input shape, measured by `singular_values`. Afterwards sigma <= max_norm (1 + 1e-3); all
    other singular values shrink with it. A module below is left as it is, bit for bit.

    Args:
        module: A convolution, a transposed one, a dense layer, a batch normalisation, or a sequence of them.
        max_norm: Largest norm allowed, > 0.
        input_shape: Shape of one input, without the batch.

    Returns:
        What the weight was divided by; 1 if it was left alone.

    Raises:
        ValueError: If no parameter scales the module, or `max_norm` is not positive.

    Paper: Gouk, Frank, Pfahringer and Cree 2021, arXiv:1804.04368.
    """
    limit = checked_norm("scale_", max_norm)
    weight = scaling_parameter(module)
    norm = measured_norm(module, input_shape)
    if norm <= limit * (1 + SLACK):
        return 1.0
    with torch.no_grad():
        weight.mul_(limit / norm)
    return norm / limit


def measured_norm(module: nn.Module, input_shape: tuple[int, ...]) -> float:
    """Measure the largest singular value of an affine module, and its error with it.

    Args:
        module: An affine module.
        input_shape: Shape of one input, without the batch.

    Returns:
        The measured value, increased by the tolerance of the measurement.
    """
    return float(singular_values(module, input_shape, 1, _TOL).values[0]) * (1 + _TOL)


def power_iteration(
    module: nn.Module, input_shape: tuple[int, ...], start: Tensor, n_iter: int = 5
) -> tuple[Tensor, Tensor]:
    """Estimate the norm of the linear part A of an affine layer from below by v <- A^T A v / ||A^T A v||.

    The layer is run as it is, with its stride, padding, padding mode, dilation and groups, but with zero bias; nothing
    of it changes, gradients included.

    Args:
        module: A convolution, a transposed one or a dense layer.
        input_shape: Shape of one input, without the batch.
        start: Any direction but 0, `(*input_shape)`.
        n_iter: Steps, >= 1.

    Returns:
        The estimate sqrt(||A^T A v||) with v the unit vector before the last step, a scalar without gradient; and the
        unit vector after it, `(*input_shape)`.

    Cost: `n_iter` forward and backward passes of one sample.
    """
    # Zero bias makes it linear at half the cost of subtracting f(0).
    unbiased = {name: torch.zeros_like(p) for name, p in module.named_parameters() if name.endswith("bias")}
    vector = start.detach().reshape(1, *input_shape)
    vector = vector / vector.norm()
    square = vector.new_zeros(())
    for _ in range(n_iter):
        with torch.inference_mode(False), torch.enable_grad(), full_precision():
            point = vector.clone().requires_grad_()
            image = functional_call(module, unbiased, (point,))
            (gradient,) = torch.autograd.grad(image, point, image.detach())
        square = gradient.norm()
        # A start that A maps to 0 stays what it was.
        vector = torch.where(square > 0, gradient / torch.where(square > 0, square, 1), vector)
    return square.sqrt(), vector[0]


class Gouk:
    """Divides each weight by max(1, sigma / max_norm) after every step, sigma by a few power iterations (Gouk et al.).

    Convolutions are measured as they are, with stride, padding, padding mode, dilation and groups, at their input shape
    in the network. A few steps from a fresh start give less than the norm, so norms stay a few per cent above
    `max_norm`; from the vector of the step before (`warm_start`) they come down to it.

    Args:
        model: Network to keep; its weights are scaled in place.
        input_shape: Shape of one input, without the batch.
        max_norm: Largest norm of each convolution and dense layer, > 0.
        n_iter: Power iterations after each step.
        warm_start: Begin at the vector of the step before? Published: no, at random.
        seed: Of the starts.

    Raises:
        ValueError: If an argument is out of range or a weight is parametrised.

    Cost: `n_iter` forward and backward passes of one sample per step.
    Paper: Gouk, Frank, Pfahringer and Cree 2021, arXiv:1804.04368.
    """

    def __init__(
        self,
        model: nn.Module,
        input_shape: tuple[int, ...],
        max_norm: float = 1.0,
        *,
        n_iter: int = 5,
        warm_start: bool = False,
        seed: int = 0,
    ) -> None:
        self.max_norm = checked_norm("gouk", max_norm)
        self.n_iter = positive_int("gouk", "n_iter", n_iter)
        self.warm_start = warm_start
        self.seed = seed
        self._parts = weighted_parts(model, input_shape)
        self._n_steps = 0
        self._vectors: dict[int, Tensor] = {}

    def penalty(self) -> None:
        """Add nothing to the loss."""

    def step(self) -> dict[str, float]:
        """Scale the weights.

        Returns:
            The estimated norm of each part after it.
        """
        generator = torch.Generator().manual_seed(self.seed + 1_000_003 * self._n_steps)
        norms = [self._scale(index, generator) for index in range(len(self._parts))]
        self._n_steps += 1
        values = torch.stack([norm.double().cpu() for norm in norms]).tolist() if norms else []
        # A module that runs at several shapes is named once, with its largest norm.
        worst: dict[str, float] = {}
        for part, value in zip(self._parts, values, strict=True):
            worst[part.name] = max(value, worst.get(part.name, 0.0))
        return worst

    def _scale(self, index: int, generator: torch.Generator) -> Tensor:
        part = self._parts[index]
        weight = scaling_parameter(part.module)
        start = self._vectors.get(index)
        if start is None:
            start = torch.randn(part.input_shape, generator=generator, dtype=torch.float64)
        norm, vector = power_iteration(part.module, part.input_shape, start.to(weight), self.n_iter)
        if self.warm_start:
            self._vectors[index] = vector
        excess = (norm / self.max_norm).clamp_min(1)
        with torch.no_grad():
            weight.div_(excess)
        return norm / excess

    def state_dict(self) -> dict[str, Any]:
        """Give the number of steps, from which the starts follow, and the vectors of a warm start.

        Returns:
            Plain values and tensors.
        """
        return {"n_steps": self._n_steps, "vectors": dict(self._vectors)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from a saved state.

        Args:
            state: What `state_dict` gave.
        """
        self._n_steps = int(state["n_steps"])
        self._vectors = dict(state["vectors"])
