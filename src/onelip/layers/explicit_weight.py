"""The base of layers that build an ordinary weight from raw parameters."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from typing_extensions import override

from onelip.layers.cache import TensorCache
from onelip.layers.constrained import ConstrainedModule
from onelip.layers.orthogonal_block import OrthogonalBlock, is_trusted, trust_if_orthogonal
from onelip.linalg import full_precision


class ExplicitWeight(ConstrainedModule):
    """Base of layers with `weight = constrain(*raw parameters)`.

    In training the weight is built anew at every access, in the parameters' precision but at least float32. In eval
    it is built once in float64, rounded once to the parameters' precision and kept until a parameter changes. A
    subclass registers its parameters, names them in `raw_names` and implements `constrain` and `right_inverse`.
    `layer.weight = w` projects `w` onto the set as closely as the method allows. After `on_manifold_`, raw parameters
    that an optimiser keeps orthogonal are used in training as they are (`compose`). The bias starts like torch's, or
    at zero if a subclass sets `bias_starts_at_zero`.

    1-D convolutions are 2-D ones of height 1 to `constrain`, `right_inverse` and `_weight_shape`; they set `unit_axis`,
    the axis of size 1 that `weight` lacks.
    """

    unit_axis: ClassVar[int | None] = None
    raw_names: ClassVar[tuple[str, ...]] = ("raw_weight",)
    bias_starts_at_zero: ClassVar[bool] = False
    bias: nn.Parameter | None

    def __init__(self) -> None:
        super().__init__()
        self._cache = TensorCache()
        self.on_manifold = False

    @abstractmethod
    def constrain(self, *raw: Tensor) -> Tensor:
        """Build the weight. Pure and differentiable; float32 or float64.

        Args:
            *raw: The tensors named in `raw_names`, in that order.

        Returns:
            The weight, in the layout of the torch namesake (with `unit_axis`).
        """

    @abstractmethod
    def right_inverse(self, weight: Tensor) -> tuple[Tensor, ...]:
        """Find raw parameters that give a weight near the one wanted.

        Args:
            weight: In the layout of the torch namesake (with `unit_axis`), float64.

        Returns:
            One tensor for each of `raw_names`.
        """

    @property
    def raw(self) -> tuple[Tensor, ...]:
        """The raw parameters, in the order of `raw_names`, without those that are registered as None."""
        return tuple(raw for name in self.raw_names if (raw := getattr(self, name)) is not None)

    @property
    def weight(self) -> Tensor:
        """The constrained weight: differentiable; built at every access in training, once in eval."""
        if self.training:
            if self._stays_on_manifold():
                return self._composed()
            return self._build(self.constrain, *self.raw, at_least=torch.float32)
        return self._cache.differentiable(self.raw, partial(self._build, self.constrain, at_least=torch.float64))

    @weight.setter
    def weight(self, value: Tensor) -> None:
        self._assign(value)

    @override
    def __setattr__(self, name: str, value: Any) -> None:
        # nn.Module would register a Parameter under this name instead of calling the property.
        if name == "weight":
            self._assign(value)
        else:
            super().__setattr__(name, value)

    def _assign(self, value: Tensor) -> None:
        axis, shape = self.unit_axis, self._weight_shape()
        expected = shape if axis is None else (*shape[:axis], *shape[axis + 1 :])
        if not isinstance(value, Tensor) or tuple(value.shape) != expected:
            got = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
            raise ValueError(f"weight={got} assigned to {type(self).__name__} must be a tensor of shape {expected}")
        with torch.no_grad(), full_precision():
            for parameter, raw in zip(
                self.raw, self.right_inverse(value.detach().double().reshape(shape)), strict=True
            ):
                parameter.copy_(raw)

    @override
    def retract_(self) -> None:
        if self._stays_on_manifold():
            return
        with torch.no_grad(), full_precision():
            for parameter, raw in zip(self.raw, self.retraction(*self.raw), strict=True):
                if raw is not parameter:
                    parameter.copy_(raw)
        self._declare_orthogonal()

    def orthogonal_blocks(self) -> tuple[OrthogonalBlock, ...]:
        """List the raw parameters that `constrain` does nothing to but orthogonalise, before it composes the weight.

        Returns:
            Those parameters, each seen as a batch of matrices; none if the method does more.
        """
        return ()

    def switch_to_manifold_(self) -> None:
        """Use the orthogonal blocks as they are in training, as long as they are orthogonal."""
        self.on_manifold = True
        self._declare_orthogonal()

    def compose(self, *raw: Tensor) -> Tensor:
        """Build the weight from raw parameters whose orthogonal blocks are orthogonal already.

        Args:
            *raw: As in `constrain`.

        Returns:
            The weight, as `constrain` gives it.
        """
        return self.constrain(*raw)

    def __setstate__(self, state: dict[str, Any]) -> None:
        # Also called by copy.deepcopy.
        super().__setstate__(state)
        self._declare_orthogonal()

    @override
    def _load_from_state_dict(self, *arguments: Any) -> None:
        super()._load_from_state_dict(*arguments)
        self._declare_orthogonal()

    def _declare_orthogonal(self) -> None:
        if self.on_manifold:
            for block in self.orthogonal_blocks():
                trust_if_orthogonal(block)

    def _stays_on_manifold(self) -> bool:
        return self.on_manifold and all(is_trusted(block.parameter) for block in self.orthogonal_blocks())

    def retraction(self, *raw: Tensor) -> tuple[Tensor, ...]:
        """Raw parameters on the constraint set that give the same weight; by default the given ones.

        Args:
            *raw: The raw parameters.

        Returns:
            Their replacements; a tensor returned as it came is left alone.
        """
        return raw

    def _composed(self) -> Tensor:
        return self._build(self.compose, *self.raw, at_least=torch.float32)

    def eval_weight(self) -> Tensor:
        """Build the weight that eval uses, whatever the mode, without gradient.

        Returns:
            The weight, in the parameters' precision.
        """
        with torch.no_grad():
            return self._cache.get(self.raw, lambda: self._build(self.constrain, *self.raw, at_least=torch.float64))

    def _build(self, make: Callable[..., Tensor], *raw: Tensor, at_least: torch.dtype) -> Tensor:
        stored = raw[0].dtype
        wide = torch.promote_types(stored, at_least)
        with full_precision():
            weight = make(*(r.to(wide) for r in raw))
        return weight.to(stored) if self.unit_axis is None else weight.to(stored).squeeze(self.unit_axis)

    @abstractmethod
    def _weight_shape(self) -> tuple[int, ...]:
        """Shape of the weight in the layout of the torch namesake (with `unit_axis`)."""

    def _reset_bias(self, fan_in: int) -> None:
        if self.bias is None:
            return
        if self.bias_starts_at_zero:
            nn.init.zeros_(self.bias)
        else:
            limit = 1 / math.sqrt(fan_in)
            nn.init.uniform_(self.bias, -limit, limit)

    @override
    def extra_repr(self) -> str:
        return ", ".join([*self._arguments_repr(), *(f"{k}={v!r}" for k, v in self.options().items())])

    def options(self) -> dict[str, Any]:
        """The method's own keyword options, as given.

        Returns:
            Name to value; shown by `repr`.
        """
        return {}

    @abstractmethod
    def _arguments_repr(self) -> list[str]:
        """The torch-like arguments, for `repr`."""
