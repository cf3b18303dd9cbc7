"""The functions that attain a Wasserstein-1 distance, where they are known."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from onelip.transport.discrete import discrete_wasserstein1
from onelip.transport.exact import are_concentric, as_finite, differing_coordinate, resolved, translation
from onelip.transport.gaussian import Gaussian
from onelip.transport.sampler import Sampler
from onelip.transport.shells import SphericalShells

Potential = Callable[[Tensor], Tensor]
"""`(n, *shape)` to `(n,)`, float64, 1-Lipschitz in l2."""


def optimal_potential(p: Sampler, q: Sampler) -> Potential:
    """Give the 1-Lipschitz function whose mean over p exceeds that over q the most, where it is known.

    The cases are those of `exact_wasserstein1`. It is unique up to a constant, and only where mass is moved.

    Args:
        p: Where it is high.
        q: Where it is low.

    Returns:
        The function.

    Raises:
        ValueError: It is not known.
    """
    p, q = resolved(p), resolved(q)
    shift = translation(p, q)
    if shift is not None:
        return _slope(shift)
    if isinstance(p, Gaussian) and isinstance(q, Gaussian):
        return _of_gaussians(p, q)
    if isinstance(p, SphericalShells) and isinstance(q, SphericalShells) and are_concentric(p, q):
        return _cones(p, 1.0 if p.radius > q.radius else -1.0)
    first, second = as_finite(p), as_finite(q)
    if first is not None and second is not None:
        return discrete_wasserstein1(first.points, second.points, first.weights, second.weights).potential
    kinds = f"{type(p).__name__} and {type(q).__name__}"
    raise ValueError(f"the best potential of {kinds} is not known in optimal_potential")


def _flat(z: Tensor) -> Tensor:
    return z.detach().double().flatten(1)


def _slope(shift: tuple[float, ...]) -> Potential:
    length = math.hypot(*shift)
    down = -torch.tensor(shift, dtype=torch.float64) / (length or 1.0)
    return lambda z: _flat(z) @ down.to(z.device)


def _cones(p: SphericalShells, sign: float) -> Potential:
    centers = torch.nn.functional.pad(torch.tensor(p.centers, dtype=torch.float64), (0, p.empty_dim))

    def potential(z: Tensor) -> Tensor:
        far = torch.cdist(_flat(z), centers.to(z.device), compute_mode="donot_use_mm_for_euclid_dist")
        return sign * far.min(dim=1).values

    return potential


def _of_gaussians(p: Any, q: Any) -> Potential:
    place = differing_coordinate(p, q)
    if place is None:
        raise ValueError("the best potential of Gaussians that differ in several standard deviations is not known")
    # The derivative is the sign of F_q - F_p, which changes where the two standardised coordinates agree.
    (m_p, s_p), (m_q, s_q) = (p.mean[place], p.std[place]), (q.mean[place], q.std[place])
    kink, sign = (m_q * s_p - m_p * s_q) / (s_p - s_q), 1.0 if s_p > s_q else -1.0
    return lambda z: sign * (_flat(z)[:, place] - kink).abs()
