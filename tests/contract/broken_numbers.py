"""Layers with wrong numbers: norms, bounds, gradients, plain forms, assignments. Each breaks the sound layer once."""

from __future__ import annotations

import math
from typing import Any

import torch
from tests.contract.sound import SoundConv2d
from torch import Tensor, nn
from typing_extensions import override

from onelip.linalg import Bound, conv_norm_bound
from onelip.linalg.l1_ball import l1_norm_bound


class TooLong(SoundConv2d):
    """The identity times 1.01."""

    @override
    def constrain(self, raw: Tensor) -> Tensor:
        identity = nn.init.dirac_(torch.empty(raw.shape, dtype=raw.dtype), groups=self.groups)
        return 1.01 * identity + 0 * raw


class TooLongInTraining(TooLong):
    """The identity times 1.01 in train mode, a sound weight in eval."""

    @override
    def constrain(self, raw: Tensor) -> Tensor:
        return super().constrain(raw) if self.training else SoundConv2d.constrain(self, raw)


class LongInLInf(SoundConv2d):
    """Registered as 1-Lipschitz in l_inf, but rotates two channels: 1 in l2, sqrt(2) in l_inf."""

    norm = "linf"

    @override
    def constrain(self, raw: Tensor) -> Tensor:
        rotation = torch.tensor([[1.0, 1.0], [-1.0, 1.0]], dtype=raw.dtype).repeat(self.groups, 1) / math.sqrt(2)
        return nn.functional.pad(rotation[:, :, None, None], (1, 1, 1, 1)) + 0 * raw

    def linf_bound(self, input_shape: tuple[int, ...] | None = None) -> Bound:
        return l1_norm_bound(self.eval_weight().flatten(1))


class UnderestimatesLInf(SoundConv2d):
    """Short in both norms, but claims too small a bound in l_inf."""

    norm = "linf"

    def linf_bound(self, input_shape: tuple[int, ...] | None = None) -> Bound:
        return Bound(0.9 * l1_norm_bound(self.eval_weight().flatten(1)).value, True, "row sums")


class InexactInFloat64(SoundConv2d):
    """Sound to float32 accuracy only: the identity times 1 + 1e-7, whatever the precision."""

    @override
    def constrain(self, raw: Tensor) -> Tensor:
        return nn.init.dirac_(torch.empty(raw.shape, dtype=raw.dtype), groups=self.groups) * (1 + 1e-7) + 0 * raw


class ClaimsOrthogonality(SoundConv2d):
    """Says that it keeps every singular value at 1."""

    orthogonal = True


class NaNAtZero(SoundConv2d):
    """Divides by a norm that may be zero."""

    @override
    def constrain(self, raw: Tensor) -> Tensor:
        flat = raw.reshape(self.groups, -1)
        scale = self.gain * math.sqrt(math.prod(self.kernel_size)) * torch.linalg.vector_norm(flat, dim=1, keepdim=True)
        return (flat / scale).reshape(raw.shape)


class Detached(SoundConv2d):
    """Its weight has no graph."""

    @override
    def constrain(self, raw: Tensor) -> Tensor:
        return super().constrain(raw).detach()


class HalfDetached(SoundConv2d):
    """Treats the norm as a constant, so the gradient is wrong but not zero."""

    @override
    def constrain(self, raw: Tensor) -> Tensor:
        weight = super().constrain(raw)
        return raw * (weight.detach() / raw.detach().where(raw.detach() != 0, torch.ones_like(raw)))


class WithoutCurvature(SoundConv2d):
    """Its gradient is right, and a constant."""

    @override
    def constrain(self, raw: Tensor) -> Tensor:
        point = raw.detach()
        slope = torch.autograd.functional.jacobian(super().constrain, point)
        return super().constrain(point) + torch.einsum("abcdefgh,efgh->abcd", slope, raw - point)


class ProductOverGroups(SoundConv2d):
    """Multiplies the norms of the groups instead of taking the largest."""

    @override
    def lipschitz_bound(self, input_shape: tuple[int, ...] | None = None) -> Bound:
        value = 1.0
        for part in self.eval_weight().chunk(self.groups):
            value *= conv_norm_bound(part, stride=self.stride, dilation=self.dilation).value
        return Bound(value, True, "product over groups")


class FirstGroupOnly(SoundConv2d):
    """Bounds the first group and forgets the rest."""

    @override
    def lipschitz_bound(self, input_shape: tuple[int, ...] | None = None) -> Bound:
        part = self.eval_weight().chunk(self.groups)[0]
        return conv_norm_bound(part, stride=self.stride, dilation=self.dilation)


class Underestimates(SoundConv2d):
    """Claims a proof one part in a thousand too small, as a power iteration that stopped early."""

    @override
    def lipschitz_bound(self, input_shape: tuple[int, ...] | None = None) -> Bound:
        bound = super().lipschitz_bound(input_shape)
        return Bound(0.9 * bound.value, True, bound.method)


class BoundOfTraining(SoundConv2d):
    """Keeps the first bound it ever computed."""

    @override
    def lipschitz_bound(self, input_shape: tuple[int, ...] | None = None) -> Bound:
        if "first_bound" not in self.__dict__:
            self.__dict__["first_bound"] = super().lipschitz_bound(input_shape)
        bound: Bound = self.__dict__["first_bound"]
        return bound


class CertifiesNaN(SoundConv2d):
    """Claims a proof whatever the weights are."""

    @override
    def lipschitz_bound(self, input_shape: tuple[int, ...] | None = None) -> Bound:
        return Bound(1.0, True, "by construction")


class WrongPlain(SoundConv2d):
    """Exports the raw weight."""

    @override
    def to_plain(self) -> nn.Module:
        plain: Any = super().to_plain()
        with torch.no_grad():
            plain.weight.copy_(self.raw_weight)
        module: nn.Module = plain
        return module


class SharedPlain(SoundConv2d):
    """Its plain form shares the bias."""

    @override
    def to_plain(self) -> nn.Module:
        plain: Any = super().to_plain()
        plain.bias = self.bias
        module: nn.Module = plain
        return module


class IsItsOwnPlain(SoundConv2d):
    """Returns itself as its plain form."""

    @override
    def to_plain(self) -> nn.Module:
        return self


class ChangesOnRetraction(SoundConv2d):
    """Retracts to another function."""

    @override
    def retraction(self, *raw: Tensor) -> tuple[Tensor, ...]:
        return tuple(r.abs() for r in raw)


class WeightCannotBeAssigned(SoundConv2d):
    """Its right inverse returns a weight of its own liking."""

    @override
    def right_inverse(self, weight: Tensor) -> tuple[Tensor, ...]:
        return (torch.ones_like(weight),)


class AssignsOpposite(SoundConv2d):
    """Its right inverse has the wrong sign."""

    @override
    def right_inverse(self, weight: Tensor) -> tuple[Tensor, ...]:
        return (-weight,)


class BoundDependsOnMode(SoundConv2d):
    """Bounds the weight of the mode that it is in."""

    @override
    def lipschitz_bound(self, input_shape: tuple[int, ...] | None = None) -> Bound:
        bound = super().lipschitz_bound(input_shape)
        return Bound(bound.value * (2.0 if self.training else 1.0), True, bound.method)


class BoundDraws(SoundConv2d):
    """Starts a power iteration from a random vector when asked for its bound."""

    @override
    def lipschitz_bound(self, input_shape: tuple[int, ...] | None = None) -> Bound:
        torch.randn(3)
        return super().lipschitz_bound(input_shape)


class _Reshapes(nn.Module):
    def __init__(self, inner: nn.Module, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.inner, self.shape = inner, shape

    @override
    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.inner(x.reshape(-1, *self.shape))
        return y


class PlainTiedToSize(SoundConv2d):
    """Its plain form works for images of 5 x 6 pixels."""

    @override
    def to_plain(self) -> nn.Module:
        return _Reshapes(super().to_plain(), (self.in_channels, 5, 6)).eval()


class _Branches(nn.Sequential):
    @override
    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = super().forward(x)
        return y if y.max() > 0 else -y


class PlainBranches(SoundConv2d):
    """Its plain form decides by the numbers it sees."""

    @override
    def to_plain(self) -> nn.Module:
        return _Branches(super().to_plain()).eval()


class DividesOnRetraction(SoundConv2d):
    """Retracts by dividing by a norm that may be zero."""

    @override
    def retraction(self, *raw: Tensor) -> tuple[Tensor, ...]:
        return tuple(r / r.norm() for r in raw)


class Frozen(SoundConv2d):
    """Trains nothing but its bias."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.raw_weight.requires_grad_(False)


class AcceptsAnyShape(SoundConv2d):
    """Ignores a weight that does not fit."""

    @override
    def __setattr__(self, name: str, value: Any) -> None:
        if name == "weight" and getattr(value, "shape", None) != self.raw_weight.shape:
            return
        super().__setattr__(name, value)


class ReplacesOnAssignment(SoundConv2d):
    """Makes a new parameter of an assigned weight."""

    @override
    def __setattr__(self, name: str, value: Any) -> None:
        if name == "weight":
            self.raw_weight = nn.Parameter(value.detach().to(self.raw_weight.dtype))
        else:
            super().__setattr__(name, value)
