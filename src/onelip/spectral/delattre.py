"""Delattre et al.: a penalty on the norms that Gram iteration bounds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn

from onelip.layers.conv_arguments import positive_int
from onelip.linalg import full_precision
from onelip.linalg.gram_iteration import gram_norm
from onelip.spectral.miyato import register_matrix_norm_
from onelip.spectral.torus import covering_torus, has_torus, torus_kernel
from onelip.spectral.weighted_parts import checked_norm, own_module, weighted_parts

_SCHEDULE = ((125, 3), (150, 4), (175, 5))
"""Epochs before which so many iterations do, as published; 6 afterwards."""

_LAST = 6


def gram_bound(module: nn.Module, input_shape: tuple[int, ...], n_iter: int = 6) -> Tensor:
    """Bound the norm of a layer from above by Gram iteration, differentiably.

    G_0 = W, G_(j+1) = G_j^T G_j, and the bound is ||G_N||_F^(1 / 2^N) = (sum of sigma_i^q)^(1 / q), N = n_iter and
    q = 2^(N+1): a factor c^(1 / q) above the norm at most, c the smaller side, with the gradient
    sum of (sigma_i / bound)^(q - 1) u_i v_i^T. For convolutions G is the matrix of a frequency, and the bound is the
    largest of all frequencies of the smallest torus that contains the layer at its input size, strides, padding mode
    and dilation included.

    Published code for dense layers with an explicit backward pass returns inside its loop, after one iteration (13.163
    in place of 9.426 for a 30 x 20 matrix); published bounds of convolutions ignore the stride.

    Args:
        module: A convolution or transposed one of one or two axes, a `TTConv2d`, or a dense layer.
        input_shape: Shape of one input, without the batch.
        n_iter: N, >= 1.

    Returns:
        A scalar; up to 1e-6 (float32) too small by rounding.

    Cost: `n_iter` products of (c, c) matrices, c the smaller number of channels, at half the frequencies of the torus;
    the backward pass is one product more.
    Paper: Delattre, Barthelemy, Araujo and Allauzen 2023, arXiv:2305.16173.
    """
    torus = covering_torus(module, input_shape)
    with full_precision():
        kernel = torus_kernel(module)
        kernel = kernel if kernel.dtype in (torch.float32, torch.float64) else kernel.float()
        bounds = gram_norm(
            kernel,
            stride=torus.stride,
            dilation=torus.dilation,
            groups=torus.groups,
            # G = W^T W is its start, one iteration on.
            n_iter=n_iter - 1,
            size=torus.size,
        )
        return torus.gain * bounds.max()


class Delattre:
    """Adds rho times the sum of the norms' bounds above max_norm to the loss, by Gram iteration (Delattre et al.).

    The bounds are `gram_bound` of each convolution and dense layer at its input shape. A penalty makes norms small, but
    promises no bound: a loss that gains more by a norm than `rho` keeps it.

    Args:
        model: Network to keep.
        input_shape: Shape of one input, without the batch.
        max_norm: Bounds up to this are not penalised, > 0.
        rho: Weight of the penalty, > 0.
        n_iter: Gram iterations, or "adaptive" for 3 up to epoch 125, 4 to 150, 5 to 175 and 6 from then on.
        steps_per_epoch: Steps of the optimiser in an epoch, for "adaptive" alone.
        head: "miyato" divides the last dense layer by its norm (`Miyato`) in place of penalising it; "penalty" treats
            it like the others.
        seed: Of the head's power iteration, with "miyato".

    Raises:
        ValueError: If an argument is out of range, a weight is parametrised, or a convolution has three axes.

    Cost: that of `gram_bound` for every layer, every step.
    Paper: Delattre, Barthelemy, Araujo and Allauzen 2023, arXiv:2305.16173.
    """

    def __init__(
        self,
        model: nn.Module,
        input_shape: tuple[int, ...],
        max_norm: float = 1.0,
        *,
        rho: float = 0.1,
        n_iter: int | Literal["adaptive"] = _LAST,
        steps_per_epoch: int | None = None,
        head: Literal["miyato", "penalty"] = "miyato",
        seed: int = 0,
    ) -> None:
        self.max_norm = checked_norm("delattre", max_norm)
        if not isinstance(rho, int | float) or not rho > 0:
            raise ValueError(f"rho={rho!r} in delattre must be a positive number")
        if head not in ("miyato", "penalty"):
            raise ValueError(f"head={head!r} in delattre must be 'miyato' or 'penalty'")
        if (n_iter == "adaptive") != (steps_per_epoch is not None):
            raise ValueError(
                f"steps_per_epoch={steps_per_epoch} in delattre must be given with n_iter='adaptive', and only with it"
            )
        self.rho = float(rho)
        self.n_iter = n_iter if n_iter == "adaptive" else positive_int("delattre", "n_iter", n_iter)
        if steps_per_epoch is not None:
            positive_int("delattre", "steps_per_epoch", steps_per_epoch)
        self.steps_per_epoch = steps_per_epoch
        self._n_steps = 0
        self._parts = weighted_parts(model, input_shape)
        for part in self._parts:
            if not has_torus(own_module(part)):
                raise ValueError(f"delattre cannot bound {part.name!r}, a {part.kind}; it bounds one or two axes")
        dense = [own_module(part) for part in self._parts if isinstance(own_module(part), nn.Linear)]
        if head == "miyato" and dense:
            self._parts = tuple(part for part in self._parts if own_module(part) is not dense[-1])
            register_matrix_norm_(dense[-1], self.max_norm, 1, torch.Generator().manual_seed(seed))

    def penalty(self) -> Tensor | None:
        """Sum the bounds that are too large.

        Returns:
            A scalar with gradients; None if no layer is penalised.
        """
        if not self._parts:
            return None
        iterations = self._iterations()
        bounds = torch.stack([gram_bound(own_module(part), part.input_shape, iterations) for part in self._parts])
        return self.rho * torch.where(bounds > self.max_norm, bounds, 0).sum()

    def step(self) -> None:
        """Count the step."""
        self._n_steps += 1

    def state_dict(self) -> dict[str, Any]:
        """Give the number of steps; the head's vectors are buffers of the network.

        Returns:
            Plain values.
        """
        return {"n_steps": self._n_steps}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from a saved state.

        Args:
            state: What `state_dict` gave.
        """
        self._n_steps = int(state["n_steps"])

    def _iterations(self) -> int:
        if self.steps_per_epoch is None:
            return cast(int, self.n_iter)
        epoch = self._n_steps // self.steps_per_epoch
        return next((count for before, count in _SCHEDULE if epoch < before), _LAST)
