"""Geometry of l2 and l-infinity balls inside a box of pixels."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

Norm = Literal["l2", "linf"]

Box = tuple[float, float]

WHOLE_SPACE: Box = (-math.inf, math.inf)
"""The box of an attack on a certificate, whose claim does not end where images do."""

_ROUNDS = 40
"""Most corrections of the multiplier in the projection; each but the last finds another pixel at the border."""

_RETREATS = 20
"""Steps back towards the sample, each twice as long as the one before, where a point rounds out of its ball."""

_SAFE = (1e-15, 1e15)
"""Lengths of gradients whose squares neither vanish nor overflow in float32."""


def row_norm(x: Tensor) -> Tensor:
    """Return the l2 norm of each sample.

    Args:
        x: (N, ...) samples.

    Returns:
        (N, 1, ..., 1) norms, shaped to broadcast against `x`.
    """
    return torch.linalg.vector_norm(x, dim=tuple(range(1, x.dim())), keepdim=True)


def row_max(x: Tensor) -> Tensor:
    """Return the l-infinity norm of each sample.

    Args:
        x: (N, ...) samples.

    Returns:
        (N, 1, ..., 1) norms, shaped to broadcast against `x`.
    """
    return x.flatten(1).abs().amax(1).reshape(-1, *[1] * (x.dim() - 1))


def row_sum(x: Tensor) -> Tensor:
    """Return the l1 norm of each sample.

    Args:
        x: (N, ...) samples.

    Returns:
        (N, 1, ..., 1) norms, shaped to broadcast against `x`.
    """
    return x.flatten(1).abs().sum(1).reshape(-1, *[1] * (x.dim() - 1))


def distances(x: Tensor, origin: Tensor, norm: Norm) -> Tensor:
    """Measure how far points are from their samples, in float64.

    Args:
        x: (N, ...) points.
        origin: (N, ...) samples.
        norm: Which norm.

    Returns:
        (N,) float64.
    """
    offset = x.double() - origin.double()
    return (row_norm(offset) if norm == "l2" else row_max(offset)).flatten()


def rescaled(gradient: Tensor) -> Tensor:
    """Divide gradients by their largest entries, so that neither tiny nor huge ones are lost in sums or squares.

    Args:
        gradient: (N, ...) gradients.

    Returns:
        (N, ...) gradients whose largest entry is 1 or -1; 0 where the gradient is 0 or not finite.
    """
    largest = row_max(gradient)
    # A subnormal number has no finite inverse, so divide.
    return torch.where((largest > 0) & largest.isfinite(), gradient / largest, 0.0)


def steepest(gradient: Tensor, norm: Norm) -> Tensor:
    """Find the step of length 1 along which a function rises most.

    Args:
        gradient: (N, ...) gradients.
        norm: Norm that measures the step.

    Returns:
        (N, ...): g / |g| for l2, the signs for l-infinity; 0 where the gradient is 0 or not finite.
    """
    if norm == "linf":
        return gradient.sign().nan_to_num_(nan=0.0)
    length = row_norm(gradient)
    if len(length):
        shortest, longest = length.aminmax()
        if _SAFE[0] < float(shortest) and float(longest) < _SAFE[1]:
            return gradient / length
    scaled = rescaled(gradient)
    return scaled / row_norm(scaled).clamp_min(0.5)


def random_in_ball(x: Tensor, radius: Tensor, generator: torch.Generator | None) -> Tensor:
    """Draw offsets uniformly from the l2 ball: a Gaussian direction, and radius u^(1/n).

    Args:
        x: (N, ...) samples, for shape, type and device.
        radius: (N, 1, ..., 1) radii.
        generator: Source of randomness, or None for torch's own.

    Returns:
        Offsets of the shape of `x`.
    """
    noise = torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype)
    uniform = torch.rand(len(x), generator=generator, device=x.device, dtype=x.dtype).reshape(radius.shape)
    return noise / row_norm(noise).clamp_min(1e-30) * radius * uniform ** (1 / x[0].numel())


def project(x: Tensor, origin: Tensor, radius: Tensor, box: Box) -> Tensor:
    """Move points to their nearest ones in the l2 ball around `origin` and in the box.

    The nearest point of both is clamp(origin + t (x - origin)) for the largest t in [0, 1] that stays in the ball
    (the optimality conditions of the projection give this form). With l the length of that step for a t, and F the
    pixels that are then inside of the box, t^2 + (radius^2 - l^2) / (sum over F of their squared offsets) is the square
    of a larger t that still stays in the ball, as pixels of F may stop at the border; it is the largest once none does.

    Args:
        x: (N, ...) points.
        origin: (N, ...) centres, inside the box.
        radius: (N, 1, ..., 1) radii.
        box: Least and largest pixel value.

    Returns:
        (N, ...) points with |x - origin| <= radius, inside the box.
    """
    return _project(x, origin, radius, box, _aim(radius, box), _rooms(origin, box))


def _aim(radius: Tensor, box: Box) -> Tensor:
    # Coordinates of the size of the box round by more in a small ball than by its own rounding.
    largest = max((abs(end) for end in box if math.isfinite(end)), default=0.0)
    return radius - torch.finfo(radius.dtype).eps * (radius + largest).clamp_max(2**10 * radius)


def _rooms(origin: Tensor, box: Box) -> tuple[Tensor, Tensor]:
    # How far pixels may go down and up.
    return box[0] - origin, box[1] - origin


def _project(x: Tensor, origin: Tensor, radius: Tensor, box: Box, aim: Tensor, rooms: tuple[Tensor, Tensor]) -> Tensor:
    offset = x - origin
    length = row_norm(offset)
    if not bool((length > radius).any()):
        return x if box == WHOLE_SPACE else x.clamp(*box)
    share = (aim / length).clamp_max(1.0)
    moved = share * offset if box == WHOLE_SPACE else _stretched(offset, rooms, aim, share)
    return _retreated(origin + moved, origin, radius, box)


def _stretched(offset: Tensor, rooms: tuple[Tensor, Tensor], aim: Tensor, share: Tensor) -> Tensor:
    most = aim.square()
    least = 32 * torch.finfo(offset.dtype).eps * most
    wanted = share * offset
    moved = torch.clamp(wanted, *rooms)
    for _ in range(_ROUNDS):
        left = most - row_norm(moved).square()
        if not bool(((left > least) & (share < 1)).any()):
            break
        # Of the squared length that is left, each pixel that is not at the border takes a part as large as its square.
        free = row_norm(_where_equal(wanted, moved, offset))
        longer = (share.square() + left.clamp_min(0) / free.square()).sqrt()
        # Where no pixel can move, the quotient is infinite or 0 / 0: the point is the corner of the box.
        share = longer.nan_to_num(nan=1.0).clamp_max(1.0)
        wanted = share * offset
        moved = torch.clamp(wanted, *rooms)
    return moved


def _where_equal(a: Tensor, b: Tensor, x: Tensor) -> Tensor:
    # x where a = b, else 0, in half of the time that torch.where takes.
    sign = (a - b).sign_()
    return torch.addcmul(x, x * sign, sign, value=-1)


def _retreated(point: Tensor, origin: Tensor, radius: Tensor, box: Box) -> Tensor:
    if box != WHOLE_SPACE:
        point = point.clamp(*box)
    for k in range(_RETREATS):
        # In a ball of a few ulp the coordinates round outward by a part of the radius.
        offset = point - origin
        outside = row_norm(offset) > radius
        if not bool(outside.any()):
            return point
        point = torch.where(outside, origin + (1 - 2.0 ** (k + 1 - _RETREATS)) * offset, point)
    return torch.where(row_norm(point - origin) > radius, origin, point)


def linf_limits(origin: Tensor, radius: Tensor, box: Box) -> tuple[Tensor, Tensor]:
    """Bound the pixels of the l-infinity ball around `origin` that is inside the box.

    Args:
        origin: (N, ...) centres, inside the box.
        radius: (N, 1, ..., 1) radii.
        box: Least and largest pixel value.

    Returns:
        (N, ...) least and largest pixels: max |x - origin| <= radius for all x between them.
    """
    low, high = origin - radius, origin + radius
    # The sums may round outward.
    low = torch.where(origin - low > radius, torch.nextafter(low, origin), low)
    high = torch.where(high - origin > radius, torch.nextafter(high, origin), high)
    return low.clamp_min(box[0]), high.clamp_max(box[1])


@dataclass(frozen=True, eq=False)
class Balls:
    """The ball around each sample of a batch, inside a box.

    Attributes:
        origin: (N, ...) samples, inside the box.
        radius: (N, 1, ..., 1) radii.
        norm: Norm of the balls.
        box: Least and largest pixel value.
    """

    origin: Tensor
    radius: Tensor
    norm: Norm
    box: Box

    def __getitem__(self, index: Tensor) -> Balls:
        return Balls(self.origin[index], self.radius[index], self.norm, self.box)

    @functools.cached_property
    def aim(self) -> Tensor:
        """Radii that points of l2 balls are moved to, a rounding inside of the border."""
        return _aim(self.radius, self.box)

    @functools.cached_property
    def rooms(self) -> tuple[Tensor, Tensor]:
        """How far pixels may go down and up inside the box."""
        return _rooms(self.origin, self.box)

    @functools.cached_property
    def limits(self) -> tuple[Tensor, Tensor]:
        """Least and largest pixels of l-infinity balls inside the box."""
        return linf_limits(self.origin, self.radius, self.box)

    def project(self, x: Tensor) -> Tensor:
        """Move points into their balls, and into the box.

        Args:
            x: (N, ...) points.

        Returns:
            The nearest points that are in both.
        """
        if self.norm == "linf":
            return torch.clamp(x, *self.limits)
        return _project(x, self.origin, self.radius, self.box, self.aim, self.rooms)

    def random(self, generator: torch.Generator | None) -> Tensor:
        """Draw points uniformly from the balls, and move them into the box.

        Args:
            generator: Source of randomness, or None for torch's own.

        Returns:
            (N, ...) points.
        """
        x = self.origin
        if self.norm == "l2":
            return self.project(x + random_in_ball(x, self.radius, generator))
        uniform = torch.rand(x.shape, generator=generator, device=x.device, dtype=x.dtype)
        return self.project(x + (2 * uniform - 1) * self.radius)


def checked_balls(x: Tensor, radius: float | Tensor, norm: Norm, box: Box) -> Balls:
    """Make balls of an attack's arguments.

    Args:
        x: (N, ...) samples; gradients do not flow to them.
        radius: One radius for all, or (N,).
        norm: "l2" or "linf".
        box: Least and largest pixel value.

    Returns:
        The balls.

    Raises:
        ValueError: If a radius is negative or NaN, the norm unknown, or a sample outside of the box.
    """
    if norm not in ("l2", "linf"):
        raise ValueError(f"norm={norm!r} of an attack must be 'l2' or 'linf'")
    if bool((x < box[0]).any() | (x > box[1]).any()):
        raise ValueError(f"x has pixels outside box={box}; attack samples in the units that the model was given")
    radii = torch.as_tensor(radius, dtype=x.dtype, device=x.device).detach().expand(len(x))
    if not bool((radii >= 0).all()):
        raise ValueError(f"radius={radius} of an attack must be at least 0")
    return Balls(x.detach(), radii.reshape(-1, *[1] * (x.dim() - 1)), norm, box)
