"""Ways to put a skip connection around a 1-Lipschitz branch and stay 1-Lipschitz."""

from __future__ import annotations

import math
from abc import abstractmethod

import torch
from torch import Tensor, nn
from typing_extensions import override

from onelip.layers.constrained import ConstrainedModule
from onelip.layers.plain import evaluating, to_plain
from onelip.layers.scale import Scale
from onelip.layers.windows import safe_sqrt
from onelip.linalg import Bound, add_up, divide_up, down, multiply_up, sqrt_up, up

# Modules of torch with constant 1 that a branch may contain beside layers of this library.
_ONE = (nn.Identity, nn.ReLU, nn.Flatten, nn.Dropout, nn.PixelShuffle, nn.PixelUnshuffle)


def branch_bound(branch: nn.Module, input_shape: tuple[int, ...] | None) -> Bound:
    """Bound a branch: a layer with `lipschitz_bound`, a torch module of constant 1, or an `nn.Sequential` of those.

    Args:
        branch: The branch.
        input_shape: Shape of one input, if known.

    Returns:
        The product of the bounds.

    Raises:
        ValueError: If the constant of a module in it is not known here.
    """
    if isinstance(branch, (ConstrainedModule, Sum)):
        return branch.lipschitz_bound(input_shape)
    if isinstance(branch, nn.Sequential):
        total, shape = Bound(1.0, True, "exact"), input_shape
        for layer in branch:
            total = total.then(branch_bound(layer, shape))
            shape = _shape_after(layer, shape)
        return total
    if isinstance(branch, _ONE):
        return Bound(1.0, True, "exact")
    raise ValueError(
        f"branch {type(branch).__name__} has no lipschitz_bound; use layers of onelip, torch modules of constant 1, "
        f"or an nn.Sequential of them"
    )


def _shape_after(layer: nn.Module, shape: tuple[int, ...] | None) -> tuple[int, ...] | None:
    if shape is None:
        return None
    reference = next(layer.parameters(), torch.empty(0))
    # In training, layers that learn statistics would take this image for a sample.
    with torch.no_grad(), evaluating(layer):
        image = torch.zeros(1, *shape, device=reference.device, dtype=reference.dtype)
        return tuple(layer(image).shape[1:])


class Residual(ConstrainedModule):
    """Base of skip connections around a branch `fn`.

    The constant follows from that of the branch alone (`bound_from`), so a branch whose bound comes from elsewhere
    can be used as well.

    Args:
        fn: The branch.
    """

    def __init__(self, fn: nn.Module) -> None:
        super().__init__()
        if not isinstance(fn, nn.Module):
            raise ValueError(f"fn={fn!r} in {type(self).__name__} must be a module")
        self.fn = fn

    @abstractmethod
    def bound_from(self, branch: Bound) -> Bound:
        """Bound this module, given a bound of its branch.

        Args:
            branch: Bound of `fn`.

        Returns:
            The bound, proved if that of the branch is.
        """

    def branch_shape(self, input_shape: tuple[int, ...] | None) -> tuple[int, ...] | None:
        """Shape of one input of the branch.

        Args:
            input_shape: Shape of one input of this module.

        Returns:
            The same shape, unless a subclass splits the input.
        """
        return input_shape

    @override
    def lipschitz_bound(self, input_shape: tuple[int, ...] | None = None) -> Bound:
        return self.bound_from(branch_bound(self.fn, self.branch_shape(input_shape)))


class Sum(nn.Module):
    """Add the outputs of branches applied to the same input; what additive residuals become in plain form.

    The constant is at most the sum of theirs.

    Args:
        *branches: Modules with outputs of one shape.

    Raises:
        ValueError: If there is none.
    """

    def __init__(self, *branches: nn.Module) -> None:
        super().__init__()
        if not branches:
            raise ValueError("branches=() in Sum must have at least one module")
        self.branches = nn.ModuleList(branches)

    @override
    def forward(self, x: Tensor) -> Tensor:
        total: Tensor = self.branches[0](x)
        for branch in list(self.branches)[1:]:
            total = total + branch(x)
        return total

    def lipschitz_bound(self, input_shape: tuple[int, ...] | None = None) -> Bound:
        """Add the bounds of the branches.

        Args:
            input_shape: Shape of one input, if known.

        Returns:
            The sum, rounded up.
        """
        first, *others = (branch_bound(branch, input_shape) for branch in self.branches)
        for other in others:
            first = first.plus(other)
        return first


def _scalar(
    module: Residual, init: float, device: torch.device | str | None, dtype: torch.dtype | None
) -> nn.Parameter:
    if not isinstance(init, (int, float)) or not math.isfinite(init):
        raise ValueError(f"init={init!r} in {type(module).__name__} must be a finite number")
    return nn.Parameter(torch.full((), float(init), device=device, dtype=dtype))


class AdditiveResidual(Residual):
    """y = a x + (1 - a) fn(x) with a learned a = sigmoid(alpha): constant at most a + (1 - a) Lip(fn).

    Shape: that of the input, which the branch keeps.

    Args:
        fn: The branch.
        init: First value of alpha; 1 gives a = 0.73.
        device: Device of alpha.
        dtype: Precision of alpha.

    Raises:
        ValueError: If `init` is not a finite number.
    """

    def __init__(
        self,
        fn: nn.Module,
        init: float = 1.0,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(fn)
        self.alpha = _scalar(self, init, device, dtype)

    @override
    def forward(self, x: Tensor) -> Tensor:
        return torch.sigmoid(self.alpha) * x + torch.sigmoid(-self.alpha) * self.fn(x)

    def weights(self) -> tuple[float, float]:
        """Weights of the skip connection and of the branch.

        Returns:
            (a, 1 - a), each within a few roundings; their sum is at most 1 in exact arithmetic.
        """
        alpha = float(self.alpha.detach())
        small = math.exp(-abs(alpha)) / (1 + math.exp(-abs(alpha)))
        # The exact complement of a float64 below 1/2 may need more bits than float64 has: round it down.
        large = down(1 - small)
        return (large, small) if alpha >= 0 else (small, large)

    @override
    def bound_from(self, branch: Bound) -> Bound:
        skip, rest = self.weights()
        # 2^-50 covers the distance of the computed weights from the sigmoid.
        value = multiply_up(add_up(skip, multiply_up(rest, branch.value)), 1 + 2.0**-50)
        convex = max(1.0, branch.value)
        return Bound(min(value, convex), branch.proved, "convex combination")

    @override
    def to_plain(self) -> nn.Module:
        skip, rest = self.weights()
        return Sum(Scale(skip), nn.Sequential(to_plain(self.fn), Scale(rest))).eval()


class PrescaledResidual(Residual):
    """y = (x + fn(alpha x)) / (1 + |alpha|) with a learned alpha.

    Constant at most (1 + |alpha| Lip(fn)) / (1 + |alpha|).

    Shape: that of the input, which the branch keeps.

    Args:
        fn: The branch.
        init: First value of alpha.
        device: Device of alpha.
        dtype: Precision of alpha.

    Raises:
        ValueError: If `init` is not a finite number.
    """

    def __init__(
        self,
        fn: nn.Module,
        init: float = 1.0,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(fn)
        self.alpha = _scalar(self, init, device, dtype)

    @override
    def forward(self, x: Tensor) -> Tensor:
        return (x + self.fn(self.alpha * x)) / (1 + self.alpha.abs())

    @override
    def bound_from(self, branch: Bound) -> Bound:
        alpha = abs(float(self.alpha.detach()))
        above = add_up(1.0, multiply_up(alpha, branch.value))
        value = divide_up(above, max(1.0, down(1 + alpha)))
        return Bound(min(value, max(1.0, branch.value)), branch.proved, "prescaled sum")

    @override
    def to_plain(self) -> nn.Module:
        alpha = float(self.alpha.detach())
        branch = nn.Sequential(Scale(alpha), to_plain(self.fn))
        shrink = 1.0 if alpha == 0 else down(1 / up(1 + abs(alpha)))
        return nn.Sequential(Sum(nn.Identity(), branch), Scale(shrink)).eval()


class ConcatResidual(Residual):
    """Keep the first half of the channels and apply the branch to the second half: constant max(1, Lip(fn)).

    Channels are split as `torch.chunk(x, 2, dim=1)` does: with an odd number the first half has one more.

    Shape: `(N, C, ...)` with C >= 2; the branch sees `(N, floor(C/2), ...)`.

    Args:
        fn: The branch.
    """

    @override
    def forward(self, x: Tensor) -> Tensor:
        if x.shape[1] < 2:
            raise ValueError(f"input with {x.shape[1]} channel in ConcatResidual must have at least 2")
        kept, changed = x.chunk(2, 1)
        return torch.cat([kept, self.fn(changed)], 1)

    @override
    def branch_shape(self, input_shape: tuple[int, ...] | None) -> tuple[int, ...] | None:
        return None if input_shape is None else (input_shape[0] // 2, *input_shape[1:])

    @override
    def bound_from(self, branch: Bound) -> Bound:
        return Bound(max(1.0, branch.value), branch.proved, "separate halves")

    @override
    def to_plain(self) -> nn.Module:
        return ConcatResidual(to_plain(self.fn)).eval()


class L2NormResidual(Residual):
    """y = sqrt((x^2 + fn(x)^2) / 2), entry by entry: constant at most sqrt((1 + Lip(fn)^2) / 2).

    The map (a, b) -> sqrt(a^2 + b^2) is 1-Lipschitz. The derivative where both are 0 is defined as 0.

    Shape: that of the input, which the branch keeps.

    Args:
        fn: The branch.
    """

    @override
    def forward(self, x: Tensor) -> Tensor:
        return safe_sqrt((x.square() + self.fn(x).square()) / 2)

    @override
    def bound_from(self, branch: Bound) -> Bound:
        squares = add_up(1.0, multiply_up(branch.value, branch.value))
        value = sqrt_up(divide_up(squares, 2.0))
        return Bound(min(value, max(1.0, branch.value)), branch.proved, "root mean square")

    @override
    def to_plain(self) -> nn.Module:
        return L2NormResidual(to_plain(self.fn)).eval()
