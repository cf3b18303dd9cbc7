"""Affine maps as functions of the weights of a module: the derivative in the weights, and its adjoint."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.func import functional_call

from onelip.layers import ConstrainedModule

_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)


def clippable_weights(module: nn.Module) -> dict[str, nn.Parameter]:
    """Find the parameters that clipping may change.

    The weights of convolutions and dense layers and the parameters of other modules, except those named "bias"; the
    scales of batch normalisations only where there is nothing else; never those of layers whose constraint fixes them.

    Args:
        module: Any module.

    Returns:
        Qualified name to parameter, each parameter once.
    """
    weights: dict[str, nn.Parameter] = {}
    scales: dict[str, nn.Parameter] = {}
    constrained = {id(m) for c in module.modules() if isinstance(c, ConstrainedModule) for m in c.modules()}
    for path, child in module.named_modules():
        if id(child) in constrained:
            continue
        for name, parameter in child.named_parameters(recurse=False):
            known = isinstance(child, (*_CONVOLUTIONS, nn.Linear, *_NORMS))
            if name == "bias" or (known and name != "weight") or not parameter.is_floating_point():
                continue
            found = scales if isinstance(child, _NORMS) else weights
            if all(parameter is not other for other in found.values()):
                found[f"{path}.{name}" if path else name] = parameter
    return weights or scales


class WeightedMap:
    """The linear part A(w) of a module's affine map x -> A(w) x + b(w), as a function of its weights w.

    Only `write_` changes the module.

    Args:
        module: In eval mode; what it computes is affine in x.
        input_shape: Shape of one input, without the batch.

    Attributes:
        start: `(p,)`, the weights of the module, flattened one after the other.
    """

    def __init__(self, module: nn.Module, input_shape: tuple[int, ...]) -> None:
        self._module = module
        self._input_shape = input_shape
        self._weights = {name: weight.detach() for name, weight in clippable_weights(module).items()}
        self._places = _places(module, self._weights)
        self.start = torch.cat([weight.reshape(-1) for weight in self._weights.values()])
        self.n_inputs = math.prod(input_shape)

    def split(self, w: Tensor) -> dict[str, Tensor]:
        """Shape a vector of weights as the module's parameters.

        Args:
            w: `(p,)`.

        Returns:
            Qualified name to tensor.
        """
        pieces = w.split([weight.numel() for weight in self._weights.values()])
        return {name: piece.view_as(self._weights[name]) for name, piece in zip(self._weights, pieces, strict=True)}

    def apply(self, w: Tensor, x: Tensor) -> Tensor:
        """Apply A(w) to a block of vectors.

        Args:
            w: `(p,)`.
            x: `(B, n_inputs)`.

        Returns:
            `(B, n_outputs)`, with the gradient that `w` calls for.
        """
        points = torch.cat([x, x.new_zeros(1, x.shape[1])]).reshape(-1, *self._input_shape)
        tensors = self.split(w)
        given = {place: tensors[name] for place, name in self._places.items()}
        values = functional_call(self._module, given, (points,), tie_weights=False).flatten(1)
        return values[:-1] - values[-1:]

    def matrix(self, w: Tensor) -> Tensor:
        """Form A(w).

        Args:
            w: `(p,)`.

        Returns:
            `(n_outputs, n_inputs)`.
        """
        with torch.no_grad():
            return self.apply(w, self._identity()).mT

    def pull(self, w: Tensor, left: Tensor, right: Tensor) -> Tensor:
        """Apply the adjoint of the derivative of A at w to a matrix given by its factors.

        Args:
            w: `(p,)`.
            left: `(r, n_outputs)`.
            right: `(r, n_inputs)`.

        Returns:
            `(p,)`, the gradient of sum_i <left_i, A(w) right_i>.
        """
        with torch.enable_grad():
            w = w.detach().requires_grad_()
            (gradient,) = torch.autograd.grad(self.apply(w, right), w, left)
        return gradient

    def is_affine_in_weights(self) -> bool:
        """Find out whether A is affine in w, as it is for a single layer, and not for layers one after the other.

        Returns:
            What a random direction shows.
        """
        x, d = self._probe()
        with torch.no_grad():
            here, ahead, behind = (self.apply(self.start + t * d, x) for t in (0, 1, -1))
        return bool((ahead + behind - 2 * here).norm() <= self._noise(ahead, behind))

    def homogeneous(self) -> tuple[str, ...]:
        """List the weights that A is proportional to.

        Returns:
            Qualified names.
        """
        x, _ = self._probe()
        names = []
        with torch.no_grad():
            here = self.apply(self.start, x)
            for name in self._weights:
                doubled = {k: 2 * t if k == name else t for k, t in self._weights.items()}
                there = self.apply(torch.cat([t.reshape(-1) for t in doubled.values()]), x)
                if (there - 2 * here).norm() <= self._noise(there, here):
                    names.append(name)
        return tuple(names)

    def write_(self, w: Tensor) -> None:
        """Write weights into the module.

        Args:
            w: `(p,)`.
        """
        with torch.no_grad():
            for name, tensor in self.split(w).items():
                self._module.get_parameter(name).copy_(tensor)

    def _identity(self) -> Tensor:
        return torch.eye(self.n_inputs, dtype=self.start.dtype, device=self.start.device)

    def _probe(self) -> tuple[Tensor, Tensor]:
        generator = torch.Generator().manual_seed(0)
        x = torch.randn(4, self.n_inputs, generator=generator, dtype=torch.float64).to(self.start)
        d = torch.randn(len(self.start), generator=generator, dtype=torch.float64).to(self.start)
        return x, d * (self.start.norm() / d.norm() + torch.finfo(d.dtype).tiny)

    def _noise(self, *values: Tensor) -> float:
        eps = torch.finfo(self.start.dtype).eps
        return 64 * eps * math.sqrt(self.n_inputs) * sum(float(value.norm()) for value in values)


# Every place of each weight, once for a module that is in several: to name it twice would not be undone.
def _places(module: nn.Module, weights: dict[str, Tensor]) -> dict[str, str]:
    owners = {module.get_parameter(name).data_ptr(): name for name in weights}
    return {
        f"{path}.{name}" if path else name: owners[parameter.data_ptr()]
        for path, child in module.named_modules()
        for name, parameter in child.named_parameters(recurse=False, remove_duplicate=False)
        if parameter.data_ptr() in owners
    }
