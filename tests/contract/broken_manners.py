"""Layers with wrong manners: caches, state, copies, transforms, arguments. Each breaks the sound layer once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from tests.contract.sound import SoundConv2d
from torch import Tensor, nn
from typing_extensions import override


class Stale(SoundConv2d):
    """Keeps the weight of its first eval pass whatever happens to the raw weight."""

    kept: Tensor | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "kept": None}

    @override
    def forward(self, x: Tensor) -> Tensor:
        weight = self.weight
        if not self.training:
            if self.kept is None:
                self.__dict__["kept"] = weight.detach()
            weight = self.kept
        return nn.functional.conv2d(
            self.arguments.pad(x), weight, self.bias, self.stride, 0, self.dilation, self.groups
        )


class CreatesState(SoundConv2d):
    """Makes a buffer in the first forward, as power iterations do."""

    @override
    def forward(self, x: Tensor) -> Tensor:
        if not hasattr(self, "vector"):
            self.register_buffer("vector", torch.ones(x.shape[-1]))
        return super().forward(x)


class CreatesAttribute(SoundConv2d):
    """Remembers the input size in an attribute made in forward."""

    @override
    def forward(self, x: Tensor) -> Tensor:
        self.last_size = tuple(x.shape[-2:])
        return super().forward(x)


class MutatesInEval(SoundConv2d):
    """Counts forwards in a buffer, in eval too."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.register_buffer("count", torch.zeros(()))

    @override
    def forward(self, x: Tensor) -> Tensor:
        self.count.add_(1)
        return super().forward(x)


class IgnoresOption(SoundConv2d):
    """Accepts `gain`, checks it, shows it, and does nothing with it."""

    @override
    def constrain(self, raw: Tensor) -> Tensor:
        return self.normalise(raw, 1.0)


class IgnoresStride(SoundConv2d):
    """Returns the full resolution whatever the stride."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.stride = (1, 1)


class SwallowsArguments(SoundConv2d):
    """Takes any keyword."""

    def __init__(self, *args: Any, no_such_option: int = 0, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)


class BuiltInBfloat16(SoundConv2d):
    """Builds its weight under whatever autocast is on."""

    @override
    def _build(self, make: Callable[..., Tensor], *raw: Tensor, at_least: torch.dtype) -> Tensor:
        weight = make(*raw)
        flat = weight.flatten(1)
        return (torch.eye(flat.shape[0], dtype=flat.dtype) @ flat).reshape(weight.shape)


class RandomInEval(SoundConv2d):
    """A fresh random start in every forward."""

    @override
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + 1e-6 * torch.randn(())


class HidesState(SoundConv2d):
    """Half of what its weight depends on is neither parameter nor buffer."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.hidden = torch.rand(()).item()

    @override
    def constrain(self, raw: Tensor) -> Tensor:
        return super().constrain(raw) * self.hidden


class Rebuilds(SoundConv2d):
    """Builds its weight at every eval pass."""

    @override
    def forward(self, x: Tensor) -> Tensor:
        self._cache.clear()
        return super().forward(x)


class TiedToSize(SoundConv2d):
    """Learns a bias for every pixel of the first image size."""

    @override
    def forward(self, x: Tensor) -> Tensor:
        if not hasattr(self, "size"):
            self.size = x.shape[-2:]
        if x.shape[-2:] != self.size:
            raise RuntimeError("another size")
        return super().forward(x)


class CannotCopy(SoundConv2d):
    """Holds a tensor with a graph after a training forward."""

    @override
    def forward(self, x: Tensor) -> Tensor:
        self.__dict__["last"] = self.weight
        return super().forward(x)


class AcceptsReflect(SoundConv2d):
    """Accepts a padding mode that repeats pixels."""

    paddings = ("zeros", "circular", "reflect")


class MixesSamples(SoundConv2d):
    """Subtracts the mean over the batch in training."""

    @override
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x - x.mean(0, keepdim=True) if self.training and x.dim() == 4 else x)


class BranchesOnData(SoundConv2d):
    """Decides by a number read from a tensor, which neither compile nor vmap can follow."""

    @override
    def constrain(self, raw: Tensor) -> Tensor:
        weight = super().constrain(raw)
        return weight if raw.detach().abs().max() > 0 else weight + 0


class HidesOption(SoundConv2d):
    """Does not show `gain`."""

    @override
    def options(self) -> dict[str, Any]:
        return {}


class IgnoresBias(SoundConv2d):
    """Registers a bias and never adds it."""

    @override
    def forward(self, x: Tensor) -> Tensor:
        padded = self.arguments.pad(x)
        return nn.functional.conv2d(padded, self.weight, None, self.stride, 0, self.dilation, self.groups)


class IgnoresDtype(SoundConv2d):
    """Keeps its raw weight in float32."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.raw_weight = nn.Parameter(self.raw_weight.detach().float())


class CachesInTraining(SoundConv2d):
    """Keeps the weight of its first training pass until it goes to eval."""

    @override
    def forward(self, x: Tensor) -> Tensor:
        weight = self.weight
        if self.training:
            weight = self.__dict__.setdefault("kept_in_training", weight.detach().clone()) + 0 * weight
        return nn.functional.conv2d(
            self.arguments.pad(x), weight, self.bias, self.stride, 0, self.dilation, self.groups
        )


class ComparesVersionsOnly(SoundConv2d):
    """Takes a raw weight with the version number that it knows for unchanged."""

    @override
    def forward(self, x: Tensor) -> Tensor:
        known = self.__dict__.get("known")
        if known is None or known[0] != self.raw_weight._version or known[1].dtype != self.raw_weight.dtype:
            known = self.__dict__["known"] = (self.raw_weight._version, self.weight.detach())
        return nn.functional.conv2d(
            self.arguments.pad(x), known[1], self.bias, self.stride, 0, self.dilation, self.groups
        )


class StaysInFloat32(SoundConv2d):
    """Does not follow a move."""

    @override
    def _apply(self, fn: Any, recurse: bool = True) -> Any:
        return self


class SeededByNumpy(SoundConv2d):
    """Draws its initial weight from numpy's generator."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        with torch.no_grad():
            self.raw_weight.mul_(1 + np.random.rand())  # noqa: NPY002  (the defect)


class StartsConstant(SoundConv2d):
    """Starts from the same kernel whatever the seed; only the bias is drawn."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        nn.init.ones_(self.raw_weight)


class LeavesTorch(SoundConv2d):
    """Passes through numpy."""

    @override
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + torch.from_numpy(x.detach().numpy()).sum() * 0


class HoldsFunction(SoundConv2d):
    """Keeps a lambda, which pickle refuses."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.phi = lambda v: v


class SquareOnly(SoundConv2d):
    """Refuses what its record promises."""

    def __init__(self, in_channels: int, out_channels: int, kernel_size: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(in_channels, out_channels, kernel_size, *args, **kwargs)
        if in_channels != out_channels:
            raise ValueError(f"out_channels={out_channels} in SquareOnly must be in_channels={in_channels}")
