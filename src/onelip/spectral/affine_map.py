"""Affine maps given by code: their linear part and its adjoint, without a matrix."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext

import torch
from torch import Tensor, nn

from onelip.layers.plain import evaluating

Function = Callable[[Tensor], Tensor]

_SAFETY = 64
"""How many times the rounding error of a sum of squares an affine map may deviate from additivity."""


class NotAffineError(ValueError):
    """A module or function is not affine, so it has no singular values."""


class AffineMap:
    """The linear part A of an affine map f(x) = A x + b, and its adjoint, as functions of blocks of vectors.

    `A x = f(x) - f(0)` by evaluation, `A^T y` by reverse-mode differentiation; A is never formed. A module is evaluated
    as it is in eval mode, without gradients of its parameters, without autocast, and without a change of its modes,
    buffers or of any random generator.

    Args:
        function: A module, or any function, that maps `(B, *input_shape)` to `(B, ...)`, each sample by itself.
        input_shape: Shape of one input, without the batch.
        dtype: Of inputs and outputs; by default that of the module's parameters, float32 for functions.
        device: Likewise.

    Attributes:
        input_shape: Shape of one input.
        output_shape: Shape of one output.

    Raises:
        ValueError: If the shape is not one of positive integers, or the function does not accept it.
        NotAffineError: If f is not affine.
    """

    def __init__(
        self,
        function: nn.Module | Function,
        input_shape: tuple[int, ...],
        *,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> None:
        self.input_shape = _checked_shape(input_shape)
        self._function = function
        like = _like(function)
        self.dtype = dtype or like.dtype
        self.device = torch.device(device) if device is not None else like.device
        self._graph: tuple[Tensor, Tensor] | None = None
        with self._evaluating(), torch.no_grad():
            self._offset = self._call(torch.zeros(1, *self.input_shape, dtype=self.dtype, device=self.device))
        self.output_shape = tuple(self._offset.shape[1:])
        self._check_affine()

    @property
    def n_inputs(self) -> int:
        """Number of entries of an input."""
        return math.prod(self.input_shape)

    @property
    def n_outputs(self) -> int:
        """Number of entries of an output."""
        return math.prod(self.output_shape)

    def apply(self, x: Tensor) -> Tensor:
        """Apply A to a block of vectors.

        Args:
            x: `(B, n_inputs)`.

        Returns:
            `(B, n_outputs)`, without gradient.
        """
        with self._evaluating(), torch.no_grad():
            return (self._call(x.reshape(-1, *self.input_shape)) - self._offset).reshape(len(x), -1)

    def adjoint(self, y: Tensor) -> Tensor:
        """Apply the adjoint of A to a block of vectors.

        Args:
            y: `(B, n_outputs)`.

        Returns:
            `(B, n_inputs)`, without gradient.
        """
        with self._evaluating(), torch.enable_grad():
            if self._graph is None or len(self._graph[0]) != len(y):
                # One forward pass serves all blocks of a size: the derivative does not depend on the point.
                x = torch.zeros(len(y), *self.input_shape, dtype=self.dtype, device=self.device, requires_grad=True)
                self._graph = (x, self._call(x))
            x, output = self._graph
            (gradient,) = torch.autograd.grad(output, x, y.reshape(output.shape), retain_graph=True)
        return gradient.reshape(len(y), -1)

    @contextmanager
    def _evaluating(self) -> Iterator[None]:
        mode = evaluating(self._function) if isinstance(self._function, nn.Module) else nullcontext()
        with mode, torch.inference_mode(False), torch.autocast(self.device.type, enabled=False):
            yield

    def _call(self, x: Tensor) -> Tensor:
        return self._function(x)

    def _check_affine(self) -> None:
        generator = torch.Generator().manual_seed(0)
        x, y = torch.randn(2, 1, self.n_inputs, generator=generator, dtype=torch.float64).to(self.device, self.dtype)
        # Of different lengths, so that kinks show.
        fx, fy, both = self.apply(torch.cat([x, 10 * y, x + 10 * y]))
        tolerance = _SAFETY * torch.finfo(self.dtype).eps * math.sqrt(self.n_inputs)
        if not (fx + fy - both).norm() <= tolerance * (both.norm() + self._offset.norm()):
            raise NotAffineError(f"{_name(self._function)} is not affine: f(x + y) - f(x) - f(y) + f(0) is not 0")


def _checked_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    if not all(isinstance(n, int) and n >= 1 for n in shape):
        raise ValueError(f"input_shape={shape} must be positive integers, without the batch")
    return tuple(shape)


def _like(function: nn.Module | Function) -> Tensor:
    if isinstance(function, nn.Module):
        for tensor in (*function.parameters(), *function.buffers()):
            if tensor.is_floating_point():
                return tensor
    return torch.zeros(())


def _name(function: nn.Module | Function) -> str:
    return type(function).__name__ if isinstance(function, nn.Module) else getattr(function, "__name__", "function")
