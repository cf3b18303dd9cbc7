"""What a trained pair of networks is worth: distances on held-out images, and how steep the critic is."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from onelip.bounds import UnknownLipschitzConstant, lipschitz_bound
from onelip.gan.gradients import input_gradient_norms, interpolates
from onelip.layers import to_plain
from onelip.linalg import Bound
from onelip.transport.estimate import divided

_BATCH = 256


@dataclass(frozen=True)
class CriticGradients:
    """The l2 norms of a critic's gradient that were measured, each the largest over many points.

    They are lower estimates of the Lipschitz constant: at other points the gradient may be longer.

    Attributes:
        real: Largest at real images.
        generated: Largest at generated images.
        between: Largest at one random point between each real image and a generated one.
        mean: Mean over all these points.
        n_points: How many they were.
    """

    real: float
    generated: float
    between: float
    mean: float
    n_points: int

    @property
    def largest(self) -> float:
        """The largest of all."""
        return max(self.real, self.generated, self.between)


def critic_gradients(critic: nn.Module, real: Tensor, generated: Tensor, *, seed: int = 0) -> CriticGradients:
    """Measure a critic's gradients, in float64 and in its plain form.

    Args:
        critic: Maps `(B, ...)` to `(B,)` or `(B, 1)`; left as it is.
        real: `(n, ...)` images.
        generated: `(n, ...)` images.
        seed: Of the points between them.

    Returns:
        The norms.
    """
    plain = to_plain(critic).double().requires_grad_(False)
    real, generated = real.double(), generated.double()
    between = interpolates(real, generated, torch.Generator().manual_seed(seed))
    norms = [
        torch.cat([input_gradient_norms(plain, x) for x in part.split(_BATCH)]) for part in (real, generated, between)
    ]
    at_real, at_generated, in_between = (float(part.max()) for part in norms)
    mean = float(torch.cat(norms).mean())
    return CriticGradients(at_real, at_generated, in_between, mean, sum(map(len, norms)))


def critic_constant(critic: nn.Module, image_shape: tuple[int, ...]) -> Bound | None:
    """Bound the Lipschitz constant of a critic's plain form, in l2.

    Args:
        critic: Any network; left as it is.
        image_shape: `(C, H, W)` of an image.

    Returns:
        The proved bound; None if a part of the network has no known constant.
    """
    try:
        return lipschitz_bound(to_plain(critic), image_shape).best
    except UnknownLipschitzConstant:
        return None


@dataclass(frozen=True)
class HeldOutDifference:
    """A critic's difference between real images that it was not trained on and fresh generated ones.

    Attributes:
        difference: Mean output at the real images minus mean output at the generated ones.
        standard_error: Of the difference, from the variances of both samples.
        constant: The critic's proved Lipschitz constant; None if it has none that is known.
        n_real: Real images.
        n_generated: Generated images.
    """

    difference: float
    standard_error: float
    constant: Bound | None
    n_real: int
    n_generated: int

    @property
    def lower_bound(self) -> float | None:
        """What the samples say of a lower bound of the Wasserstein-1 distance, in l2 of pixels in [0, 1].

        The difference divided by the proved constant, or 0 if that is more; None without such a constant. It is true of
        the distributions up to the sampling error.
        """
        ratio = _divided(self.difference, self.constant)
        return None if ratio is None else max(0.0, ratio)

    @property
    def lower_bound_error(self) -> float | None:
        """The standard error of `lower_bound`."""
        return _divided(self.standard_error, self.constant)


def _divided(value: float, constant: Bound | None) -> float | None:
    return divided(value, constant.value) if constant is not None and constant.proved else None


def held_out_difference(
    critic: nn.Module, real: Tensor, generated: Tensor, constant: Bound | None
) -> HeldOutDifference:
    """Evaluate a critic, in float64 and in its plain form.

    Args:
        critic: Maps `(B, ...)` to `(B,)` or `(B, 1)`; left as it is.
        real: `(n, ...)` images that it was not trained on, n >= 2.
        generated: `(m, ...)` fresh images, independent of each other, m >= 2.
        constant: The critic's, from `critic_constant`.

    Returns:
        The difference.

    Raises:
        ValueError: A sample has fewer than 2 images.
    """
    if min(len(real), len(generated)) < 2:
        raise ValueError(f"{len(real)} and {len(generated)} images in held_out_difference; it takes 2 of each")
    plain = to_plain(critic).double()
    with torch.no_grad():
        f, g = (torch.cat([plain(b).flatten() for b in x.double().split(_BATCH)]) for x in (real, generated))
    error = math.sqrt(float(f.var() / len(f) + g.var() / len(g)))
    return HeldOutDifference(float(f.mean() - g.mean()), error, constant, len(f), len(g))
