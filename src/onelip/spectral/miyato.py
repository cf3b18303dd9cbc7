"""Miyato et al.: weights divided by an estimate of the norm of the kernel written as a matrix."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrize
from typing_extensions import override

from onelip.layers.conv_arguments import positive_int
from onelip.layers.plain import evaluating
from onelip.linalg import full_precision
from onelip.spectral.weighted_parts import checked_norm, weighted_layers

_TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
_SETTLING = 15
"""Power iterations before the first forward."""

_EPS = 1e-12
"""Least norm divided by, so that a zero weight stays zero."""


class MatrixNorm(nn.Module):
    """Parametrisation W -> max_norm W / sigma, sigma = u^T M v an estimate of the norm of M, the flattened W.

    M has a row for each output channel and a column for each input channel and tap. A convolution with M of norm 1 may
    have a norm of up to sqrt(number of taps), or less than 1. In training mode each use of the weight moves u and v by
    `n_iter` power iterations; in eval mode nothing changes. Gradients go through sigma, not through u and v.

    Args:
        weight: The weight at the start.
        max_norm: What sigma becomes.
        rows: Axis of the output channels.
        n_iter: Power iterations for each use in training.
        generator: Draws the first u.

    Paper: Miyato, Kataoka, Koyama and Yoshida 2018, arXiv:1802.05957.
    """

    left: Tensor
    right: Tensor

    def __init__(self, weight: Tensor, max_norm: float, rows: int, n_iter: int, generator: torch.Generator) -> None:
        super().__init__()
        self.max_norm = max_norm
        self.rows = rows
        self.n_iter = n_iter
        matrix = self._matrix(weight.detach())
        start = torch.randn(matrix.shape[0], generator=generator, dtype=torch.float64).to(matrix)
        self.register_buffer("left", F.normalize(start, dim=0, eps=_EPS))
        self.register_buffer("right", F.normalize(matrix.T @ self.left, dim=0, eps=_EPS))
        self._iterate(matrix, _SETTLING)

    @override
    def forward(self, weight: Tensor) -> Tensor:
        with full_precision():
            matrix = self._matrix(weight)
            if self.training:
                self._iterate(matrix, self.n_iter)
            # Copies, since a second forward before the backward would change what it needs.
            sigma = torch.dot(self.left.clone(), matrix @ self.right.clone())
            return weight * (self.max_norm / sigma.clamp_min(_EPS))

    def _matrix(self, weight: Tensor) -> Tensor:
        return weight.movedim(self.rows, 0).flatten(1)

    @torch.no_grad()
    def _iterate(self, matrix: Tensor, steps: int) -> None:
        for _ in range(steps):
            self.left.copy_(F.normalize(matrix @ self.right, dim=0, eps=_EPS))
            self.right.copy_(F.normalize(matrix.T @ self.left, dim=0, eps=_EPS))


def register_matrix_norm_(module: nn.Module, max_norm: float, n_iter: int, generator: torch.Generator) -> None:
    """Give a convolution or dense layer the parametrisation `MatrixNorm`; its parameter stays the same object.

    Args:
        module: Changed in place; the parameter becomes `parametrizations.weight.original`.
        max_norm: What the estimated norm of the flattened weight becomes.
        n_iter: Power iterations for each use in training.
        generator: Draws the starts.
    """
    weight = cast(Tensor, module.weight)
    rows = 1 if isinstance(module, _TRANSPOSED) else 0
    norm = MatrixNorm(weight, max_norm, rows, n_iter, generator).train(module.training)
    with evaluating(norm):
        parametrize.register_parametrization(module, "weight", norm)


def bake_(model: nn.Module) -> int:
    """Replace the parametrised weights of Miyato's method by what they are in eval mode; the function is kept.

    Afterwards the weights are ordinary parameters, the same objects as before the method began, and the names in
    `state_dict` are the old ones.

    Args:
        model: Changed in place.

    Returns:
        The number of weights.
    """
    baked = 0
    for module in [*model.modules()]:
        if not parametrize.is_parametrized(module, "weight"):
            continue
        chain = cast(nn.ModuleDict, module.parametrizations)["weight"]
        if all(isinstance(step, MatrixNorm) for step in chain.children()):
            with evaluating(module):
                parametrize.remove_parametrizations(module, "weight")
            baked += 1
    return baked


class Miyato:
    """Divides each weight by the norm of its flattened matrix, by one power iteration a forward (Miyato et al.).

    The weights are parametrised by `MatrixNorm` when the method is made, so that every forward, of the last dense layer
    too, has them divided; `bake_` makes them ordinary again. Dense layers get a norm of `max_norm`, up to the error of
    the estimate; convolutions do not, since the flattened kernel is not the convolution.

    Args:
        model: Network to change in place.
        input_shape: Shape of one input, without the batch.
        max_norm: Norm that each flattened weight gets, > 0.
        n_iter: Power iterations for each forward in training.
        seed: Of the starts.

    Raises:
        ValueError: If an argument is out of range or a weight is parametrised.

    Cost: two products of the weight with a vector for each forward.
    Paper: Miyato, Kataoka, Koyama and Yoshida 2018, arXiv:1802.05957.
    """

    def __init__(
        self,
        model: nn.Module,
        input_shape: tuple[int, ...],
        max_norm: float = 1.0,
        *,
        n_iter: int = 1,
        seed: int = 0,
    ) -> None:
        limit = checked_norm("miyato", max_norm)
        positive_int("miyato", "n_iter", n_iter)
        generator = torch.Generator().manual_seed(seed)
        for layer in weighted_layers(model, input_shape):
            register_matrix_norm_(layer, limit, n_iter, generator)

    def penalty(self) -> None:
        """Add nothing to the loss."""

    def step(self) -> None:
        """Do nothing: the forward does it all."""

    def state_dict(self) -> dict[str, Any]:
        """Give nothing: the vectors are buffers of the network, and in its own state.

        Returns:
            An empty dictionary.
        """
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take what `state_dict` gave.

        Args:
            state: An empty dictionary.
        """
