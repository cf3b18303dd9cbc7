"""A copy of an affine module to work on: in eval mode, in high precision, free of parametrisations."""

from __future__ import annotations

import copy
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from onelip.layers.plain import evaluating
from onelip.spectral.affine_map import AffineMap
from onelip.spectral.top_value import DENSE_ENTRIES, top_value
from onelip.spectral.weighted_map import WeightedMap, clippable_weights

_HALVINGS = 8


class WorkingCopy:
    """A copy of a module that is clipped in its place and then stored into it.

    Small maps are worked on in float64, others in their own precision, float32 at least. A weight with a
    `torch.nn.utils.parametrize` parametrisation is a plain weight in the copy; storing assigns it, so that the
    parametrisation decides what becomes of it.

    Args:
        module: Affine; only `store` changes it, and only the weights that the copy's changed in.
        input_shape: Shape of one input, without the batch.

    Attributes:
        module: The copy.
        input_shape: Shape of one input.
    """

    def __init__(self, module: nn.Module, input_shape: tuple[int, ...]) -> None:
        self._original = module
        self.input_shape = input_shape
        operator = AffineMap(module, input_shape)
        small = operator.n_inputs * operator.n_outputs <= DENSE_ENTRIES
        with torch.no_grad():
            self.module = copy.deepcopy(module).eval()
            for child in list(self.module.modules()):
                if parametrize.is_parametrized(child):
                    _make_plain_(child)
            self.module.to(torch.float64 if small else operator.dtype)
        self.module.requires_grad_(False)
        self._weights = clippable_weights(self.module)
        self._right: Tensor | None = None
        self.first = {name: self._stored(name).clone() for name in self._weights}

    @property
    def can_change(self) -> bool:
        """Has it weights that clipping may change?"""
        return bool(self._weights)

    def norm(self) -> float:
        """Measure the norm of the copy, starting from what the last measurement found.

        Returns:
            Its largest singular value.
        """
        found = top_value(self.module, self.input_shape, self._right)
        self._right = found.right
        return found.value

    def scale_(self, factor: float) -> bool:
        """Multiply the map of the copy by a factor, if it is proportional to weights: each takes an equal share.

        Args:
            factor: Positive.

        Returns:
            Was there such a weight?
        """
        names = WeightedMap(self.module, self.input_shape).homogeneous()
        with torch.no_grad():
            for name in names:
                self._weights[name].mul_(factor ** (1 / len(names)))
        return bool(names)

    def shrink_(self, bound: float) -> bool:
        """Multiply one weight by as large a factor below 1 as makes the norm obey a bound, if any does.

        Where A is affine in that weight, as in the branch beside a skip connection, the norm is convex in the factor.

        Args:
            bound: Of the norm.

        Returns:
            Was there such a weight?
        """
        factors = {name: self._largest_factor(weight, bound) for name, weight in self._weights.items()}
        name, factor = max(factors.items(), key=lambda item: item[1])
        with torch.no_grad():
            self._weights[name].mul_(factor if factor > 0 else 1)
        return factor > 0

    def _largest_factor(self, weight: Tensor, bound: float) -> float:
        old = weight.detach().clone()

        def norm_at(factor: float) -> float:
            with torch.no_grad():
                weight.copy_(factor * old)
            return self.norm()

        low, high = 0.0, 1.0
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            low, high = (middle, high) if norm_at(middle) <= bound else (low, middle)
        norm_at(1.0)
        return low

    def store(self) -> bool:
        """Write the weights of the copy into the module, and read back what became of them.

        Returns:
            Is it something else?
        """
        changed = False
        with torch.no_grad():
            for name, weight in self._weights.items():
                if not torch.equal(self._stored(name).to(weight), weight):
                    self._assign(name, weight)
                changed |= not torch.equal(self._stored(name).to(weight), weight)
                weight.copy_(self._stored(name))
        return changed

    def change(self) -> float:
        """Measure how far the stored weights have moved since the copy was made.

        Returns:
            Frobenius norm of the move over that of the weights.
        """
        pairs = [(self._stored(name).double(), old.double()) for name, old in self.first.items()]
        moved = sum(float((new - old).square().sum()) for new, old in pairs)
        size = sum(float(old.square().sum()) for _, old in pairs)
        return (moved / size) ** 0.5 if size else 0.0

    def _owner(self, name: str) -> tuple[nn.Module, str]:
        path, _, leaf = name.rpartition(".")
        return self._original.get_submodule(path), leaf

    def _stored(self, name: str) -> Tensor:
        owner, leaf = self._owner(name)
        # A parametrisation may change its state when it is read in training mode.
        with evaluating(owner):
            return getattr(owner, leaf).detach()

    def _assign(self, name: str, weight: Tensor) -> None:
        owner, leaf = self._owner(name)
        if parametrize.is_parametrized(owner, leaf):
            setattr(owner, leaf, weight.to(self._stored(name)))
        else:
            getattr(owner, leaf).copy_(weight)


# By hand: torch's own removal takes the attribute from a class that the copy shares with the original.
def _make_plain_(module: nn.Module) -> None:
    names = list(cast(nn.ModuleDict, module.parametrizations))
    tensors = {name: getattr(module, name).detach().clone() for name in names}
    module.__class__ = parametrize.type_before_parametrizations(module)
    del module.parametrizations
    for name, tensor in tensors.items():
        module.register_parameter(name, nn.Parameter(tensor))
