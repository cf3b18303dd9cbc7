"""Affine maps given by code: their linear part and its adjoint, without a matrix."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from onelip.layers.plain import evaluating
from onelip.linalg.precision import full_precision

Function = Callable[[Tensor], Tensor]

_SAFETY = 64
"""How many times the rounding error of a sum of squares an affine map may deviate from additivity."""

_LENGTHS = (1.0, 10.0, 1e4)
"""Of the random points where additivity is tested: kinks near to and far from 0 show."""

_LEAST_DRAWN = 128
"""Coordinates of these points together, at least."""

_GAINS = (2.0**20, 2.0**40)
"""Factors tried where A x is lost in the rounding of f(0)."""

_LINEAR = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
_LOW = (torch.float16, torch.bfloat16)


class NotAffineError(ValueError):
    """A module or function is not affine, so it has no singular values."""


class AffineMap:
    """The linear part A of an affine map f(x) = A x + b, and its adjoint, as functions of blocks of vectors.

    `A x = f(x) - f(0)` by evaluation, `A^T y` by reverse-mode differentiation; A is never formed. A module is evaluated
    as it is in eval mode, in full precision, without gradients of its parameters, and without a change of its modes,
    buffers or of any random generator. Its weights must stay as they are for as long as the map is used.

    Args:
        function: A module, a method of one, or any function, that maps `(B, *input_shape)` to `(B, ...)`, each sample
            by itself.
        input_shape: Shape of one input, without the batch; None for modules that have but one, such as `nn.Linear`.
        dtype: Of the computation: parameters and buffers of a module are cast to it. By default the module's own, or
            float32 if that has less precision, and torch's default for functions.
        device: Of inputs and outputs; by default the module's.

    Attributes:
        input_shape: Shape of one input.
        output_shape: Shape of one output.
        module: The module, if there is one.
        dtype: Of inputs and outputs.
        device: Of inputs and outputs.
        by_type: Is it known to be affine as a plain dense layer or convolution of torch? Others are tested.

    Raises:
        ValueError: If the shape is not one of positive integers, or is needed and None; if the function does not accept
            it, or does not return one output for each sample, or gives NaN or infinite values.
        NotAffineError: If f is not affine. It names the part at fault if it can be found.
    """

    def __init__(
        self,
        function: nn.Module | Function,
        input_shape: tuple[int, ...] | None = None,
        *,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> None:
        self.module = function if isinstance(function, nn.Module) else _owner(function)
        self.input_shape = _checked_shape(function, input_shape)
        self._function = function
        like = _like(self.module)
        self.dtype = dtype or (torch.float32 if like.dtype in _LOW else like.dtype)
        self.device = torch.device(device) if device is not None else like.device
        self.by_type = _linear_by_type(function)
        self._stand_ins = _stand_ins(self.module, self.dtype, cast_all=dtype is not None)
        self._graph: tuple[Tensor, Tensor] | None = None
        self._offset: Tensor | None = None
        self._gain = 1.0
        if self.by_type and isinstance(function, _LINEAR):
            if function.bias is not None:
                self._stand_ins["bias"] = torch.zeros(function.bias.shape, dtype=self.dtype, device=self.device)
            self.output_shape = self._shape_by_type(function, function.weight)
            return
        offset = self._first_call(torch.zeros(1, *self.input_shape, dtype=self.dtype, device=self.device))
        self.output_shape = tuple(offset.shape[1:])
        if offset.any():
            self._offset = offset
            self._gain = self._least_gain(offset)
        self._check_affine()

    @property
    def n_inputs(self) -> int:
        """Number of entries of an input."""
        return math.prod(self.input_shape)

    @property
    def n_outputs(self) -> int:
        """Number of entries of an output."""
        return math.prod(self.output_shape)

    def apply(self, x: Tensor, *, for_adjoint: bool = False) -> Tensor:
        """Apply A to a block of vectors.

        Args:
            x: `(B, n_inputs)`.
            for_adjoint: Keep what this computes for calls of `adjoint` with as many vectors, which are then faster.

        Returns:
            `(B, n_outputs)`, without gradient.
        """
        recorded = for_adjoint and (self._graph is None or len(self._graph[0]) != len(x))
        with self._evaluating(), torch.set_grad_enabled(recorded):
            x = x.clone() if x.is_inference() else x.detach()
            x = (x if self._gain == 1.0 else x * self._gain).reshape(-1, *self.input_shape).requires_grad_(recorded)
            output = self._call(x)
            if recorded:
                self._graph = (x, output)
        image = output.detach()
        if self._offset is not None:
            image = (image - self._offset) / self._gain
        return image.reshape(len(x), -1)

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
            if not output.requires_grad:
                return torch.zeros_like(x).reshape(len(y), -1)
            (gradient,) = torch.autograd.grad(output, x, y.reshape(output.shape), retain_graph=True, allow_unused=True)
        return (torch.zeros_like(x) if gradient is None else gradient).detach().reshape(len(y), -1)

    @contextmanager
    def _evaluating(self) -> Iterator[None]:
        with ExitStack() as stack:
            stack.enter_context(torch.inference_mode(False))
            stack.enter_context(full_precision())
            if self.module is not None:
                stack.enter_context(evaluating(self.module))
                stack.enter_context(_without_parameter_gradients(self.module))
            yield

    def _call(self, x: Tensor) -> Tensor:
        if self._stand_ins and isinstance(self._function, nn.Module):
            return torch.func.functional_call(self._function, self._stand_ins, (x,))
        return self._function(x)

    def _shape_by_type(self, layer: nn.Module, weight: Tensor) -> tuple[int, ...]:
        # Without its arithmetic, as all that f(0) would show is known.
        parameters = {name: torch.empty_like(tensor, device="meta") for name, tensor in layer.named_parameters()}
        zero = torch.empty(1, *self.input_shape, dtype=weight.dtype, device="meta")
        try:
            with torch.no_grad():
                output: Tensor = torch.func.functional_call(layer, parameters, (zero,))
        except (RuntimeError, ValueError, IndexError, TypeError) as error:
            raise ValueError(f"{_name(layer)} does not accept input_shape={self.input_shape}: {error}") from error
        if not weight.isfinite().all():
            raise ValueError(_not_finite(layer))
        return tuple(output.shape[1:])

    def _first_call(self, zero: Tensor) -> Tensor:
        name = _name(self._function)
        try:
            with self._evaluating(), torch.no_grad():
                offset: Any = self._call(zero)
        except (RuntimeError, ValueError, IndexError, TypeError) as error:
            raise ValueError(f"{name} does not accept input_shape={self.input_shape}: {error}") from error
        if not isinstance(offset, Tensor) or offset.shape[:1] != (1,) or not offset.is_floating_point():
            got = tuple(offset.shape) if isinstance(offset, Tensor) else type(offset).__name__
            raise ValueError(f"{name} returns {got} for a batch of one input of input_shape={self.input_shape}; "
                             "it must return one real tensor, the batch first")  # fmt: skip
        if not offset.isfinite().all():
            raise ValueError(_not_finite(self._function))
        return offset

    def _least_gain(self, offset: Tensor) -> float:
        # f(g x) - f(0) cancels less, the larger g: the offset may be much larger than A x.
        generator = torch.Generator("cpu").manual_seed(0)
        x = torch.randn(1, self.n_inputs, generator=generator, device="cpu").to(self.device, self.dtype)
        fixed = float(offset.double().norm())
        for gain in (1.0, *_GAINS):
            self._gain = gain
            image = float((self.apply(x) / x.norm()).double().norm())
            if image > 0:
                return gain * 2.0 ** max(0, math.ceil(math.log2(fixed / image / gain)))
        return 1.0

    def _check_affine(self) -> None:
        generator = torch.Generator("cpu").manual_seed(0)
        # Short inputs have few kinks between two points, so they get more of these.
        lengths = _LENGTHS * math.ceil(_LEAST_DRAWN / (len(_LENGTHS) * self.n_inputs))
        draw = torch.randn(len(lengths), self.n_inputs, generator=generator, dtype=torch.float64, device="cpu")
        points = (draw * draw.new_tensor(lengths)[:, None]).to(self.device, self.dtype)
        sums = points[:-1] + points[1:]
        images = self.apply(torch.cat([points, sums]))
        if len(images) != len(points) + len(sums) or images.shape[1] != self.n_outputs:
            raise ValueError(f"{_name(self._function)} does not return one output for each input of a batch")
        if not images.isfinite().all():
            raise ValueError(f"{_name(self._function)} gives NaN or infinite values, so it has no singular values")
        separate, together = images[: len(points)], images[len(points) :]
        tolerance = _SAFETY * torch.finfo(self.dtype).eps * math.sqrt(self.n_inputs)
        offset = 0.0 if self._offset is None else self._offset.norm() / self._gain
        deviation = (separate[:-1] + separate[1:] - together).norm(dim=1)
        if not (deviation <= tolerance * (together.norm(dim=1) + offset)).all():
            message = f"{_name(self._function)} is not affine: f(x + y) - f(x) - f(y) + f(0) is not 0"
            if self.module is not None and self.module is self._function:
                with self._evaluating(), torch.no_grad():
                    message += _culprit(self.module, lambda: self._call(points.reshape(-1, *self.input_shape)))
            raise NotAffineError(message)


def _owner(function: Function) -> nn.Module | None:
    owner = getattr(function, "__self__", None)
    return owner if isinstance(owner, nn.Module) else None


def _checked_shape(function: nn.Module | Function, shape: tuple[int, ...] | None) -> tuple[int, ...]:
    features = getattr(function, "in_features", None)
    if shape is None and isinstance(function, nn.Module) and isinstance(features, int):
        return (features,)
    if shape is None:
        raise ValueError(f"input_shape=None, but {_name(function)} accepts inputs of several shapes; give that of one")
    if not all(isinstance(n, int) and n >= 1 for n in shape):
        raise ValueError(f"input_shape={shape} must be positive integers, without the batch")
    return tuple(shape)


def _like(module: nn.Module | None) -> Tensor:
    for tensor in (*module.parameters(), *module.buffers()) if module is not None else ():
        if tensor.is_floating_point():
            return tensor
    return torch.zeros(())


def _stand_ins(module: nn.Module | None, dtype: torch.dtype, cast_all: bool) -> dict[str, Tensor]:
    # Tensors to compute with in place of those of too low a precision, or that autograd refuses.
    if module is None:
        return {}
    with torch.inference_mode(False), torch.no_grad():
        return {
            name: tensor.detach().clone().to(dtype)
            for name, tensor in (*module.named_parameters(), *module.named_buffers())
            if tensor.is_floating_point()
            and (tensor.dtype in _LOW or tensor.is_inference() or (cast_all and tensor.dtype != dtype))
        }


def _linear_by_type(function: nn.Module | Function) -> bool:
    hooked = isinstance(function, nn.Module) and (function._forward_hooks or function._forward_pre_hooks)
    return type(function) in _LINEAR and not hooked and "forward" not in vars(function)


@contextmanager
def _without_parameter_gradients(module: nn.Module) -> Iterator[None]:
    # A constrained layer would else build its weight anew, with a graph.
    wanted = [p for p in module.parameters() if p.requires_grad and p.is_leaf and not p.is_inference()]
    for parameter in wanted:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in wanted:
            parameter.requires_grad_(True)


def _culprit(model: nn.Module, run: Callable[[], object]) -> str:
    # Names the first innermost module, in order of execution, that is not affine on what it gets.
    calls: list[tuple[nn.Module, tuple[int, ...]]] = []

    def record(module: nn.Module, inputs: tuple[Any, ...], _: object) -> None:
        if len(inputs) == 1 and isinstance(inputs[0], Tensor):
            calls.append((module, tuple(inputs[0].shape[1:])))

    names = {id(module): name for name, module in model.named_modules()}
    leaves = [m for m in model.modules() if m is not model and not any(True for _ in m.children())]
    handles = [leaf.register_forward_hook(record) for leaf in leaves]
    try:
        run()
    finally:
        for handle in handles:
            handle.remove()
    for module, shape in calls:
        try:
            AffineMap(module, shape)
        except NotAffineError:
            return f"; its part {names[id(module)]!r}, {_name(module)}, is not affine"
        except ValueError:
            continue
    return ""


def _not_finite(function: nn.Module | Function) -> str:
    return f"{_name(function)} gives NaN or infinite values, so it has no singular values; check its weights"


def _name(function: nn.Module | Function) -> str:
    return type(function).__name__ if isinstance(function, nn.Module) else getattr(function, "__name__", "function")
