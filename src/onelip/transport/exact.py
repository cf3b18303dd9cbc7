"""Wasserstein-1 distances in closed form."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from onelip.transport.combined import Translated
from onelip.transport.discrete import discrete_wasserstein1
from onelip.transport.gaussian import Gaussian
from onelip.transport.point_masses import PointMasses, Samples
from onelip.transport.sampler import Sampler
from onelip.transport.shells import SphericalShells


@dataclass(frozen=True, eq=False)
class Finite:
    """A distribution on finitely many points.

    Attributes:
        points: `(k, *shape)`.
        weights: `(k,)`; None for equal ones.
    """

    points: Tensor
    weights: Sequence[float] | None


def exact_wasserstein1(p: Sampler, q: Sampler) -> float:
    """Compute the Wasserstein-1 distance in l2 of two distributions where it is known.

    - Translations of one distribution by v and w: |v - w|.
    - Shells of radii r and s around the same centres: |r - s|, if there is one centre, or 2 max(r, s) is at most the
      least distance of two centres.
    - Gaussians that differ in one coordinate, or in the mean alone: E|m + s Z| with the differences m of the means and
      s of the standard deviations there, Z standard normal, or the distance of the means.
    - Finite sets and shells on the line, which are two points: exactly, by SciPy.

    Args:
        p: One.
        q: The other.

    Returns:
        The distance.

    Raises:
        ValueError: It is not known in closed form, or the samples are of different shapes.
    """
    p, q = resolved(p), resolved(q)
    shapes = [getattr(d, "shape", None) for d in (p, q)]
    if None not in shapes and shapes[0] != shapes[1]:
        raise ValueError(f"samples of shapes {shapes[0]} and {shapes[1]} have no distance in exact_wasserstein1")
    shift = translation(p, q)
    if shift is not None:
        return math.hypot(*shift)
    if isinstance(p, Gaussian) and isinstance(q, Gaussian):
        return _gaussians(p, q)
    if isinstance(p, SphericalShells) and isinstance(q, SphericalShells) and are_concentric(p, q):
        return abs(p.radius - q.radius)
    first, second = as_finite(p), as_finite(q)
    if first is not None and second is not None:
        return discrete_wasserstein1(first.points, second.points, first.weights, second.weights).value
    kinds = f"{type(p).__name__} and {type(q).__name__}"
    raise ValueError(f"the distance of {kinds} is not known in closed form in exact_wasserstein1")


def resolved(p: Sampler) -> Any:
    """Write a translated distribution as one of its own kind, where there is one.

    Args:
        p: Any distribution.

    Returns:
        The same distribution.
    """
    if not isinstance(p, Translated):
        return p
    base, vector = resolved(p.base), np.array(p.vector)
    if isinstance(base, Translated):
        return Translated(base.base, tuple(vector + np.array(base.vector)))
    if isinstance(base, Gaussian):
        return Gaussian(tuple(np.array(base.mean) + vector), base.std)
    if isinstance(base, PointMasses):
        return PointMasses(tuple(map(tuple, np.array(base.points) + vector)), base.weights)
    if isinstance(base, SphericalShells) and base.empty_dim == 0:
        centers = tuple(map(tuple, np.array(base.centers) + vector))
        return SphericalShells(centers, base.radius, grid=base.grid)
    return p


def translation(p: Any, q: Any) -> tuple[float, ...] | None:
    """Find the vector v such that q is p moved by v.

    Args:
        p: A distribution that is `resolved`.
        q: Another.

    Returns:
        The vector, None if there is none or it is not known.
    """
    if p == q:
        return (0.0,) * math.prod(getattr(p, "shape", (1,)))
    bases = [d.base if isinstance(d, Translated) else d for d in (p, q)]
    if bases[0] == bases[1]:
        return _difference(_vector(p), _vector(q))
    if isinstance(p, Gaussian) and isinstance(q, Gaussian) and p.std == q.std:
        return _difference(p.mean, q.mean)
    if isinstance(p, SphericalShells) and isinstance(q, SphericalShells):
        return _shells_translation(p, q)
    return None


def are_concentric(p: SphericalShells, q: SphericalShells) -> bool:
    """Say whether the distance of shells is the difference of their radii.

    Args:
        p: One.
        q: The other.

    Returns:
        True if it is; False on the line, where shells are points, if it may not be.

    Raises:
        ValueError: It may not be the distance, and nothing else is known.
    """
    problem = _not_concentric(p, q)
    if problem is not None and len(p.centers[0]) > 1:
        raise ValueError(problem)
    return problem is None


def _not_concentric(p: SphericalShells, q: SphericalShells) -> str | None:
    if sorted(p.centers, key=tuple) != sorted(q.centers, key=tuple) or p.empty_dim != q.empty_dim:
        return "the distance of SphericalShells around different centres is not known in closed form"
    centers = np.array(p.centers)
    pairs = np.linalg.norm(centers[:, None] - centers, axis=2) + np.diag([math.inf] * len(centers))
    radius, least = max(p.radius, q.radius), float(pairs.min())
    if 2 * radius <= least:
        return None
    return (
        f"radius={radius} of SphericalShells is more than half the least distance {least:.6g} of two centres; "
        "beyond it |r - s| is only an upper bound of the distance"
    )


def as_finite(p: Any) -> Finite | None:
    """Write a distribution on finitely many points as these.

    Args:
        p: Any.

    Returns:
        The points; None if it is no such distribution.
    """
    if isinstance(p, Samples):
        return Finite(p.x, None)
    if isinstance(p, PointMasses):
        return Finite(torch.tensor(p.points, dtype=torch.float64), p.weights)
    if isinstance(p, SphericalShells) and len(p.centers[0]) == 1:
        both = [(c[0] + sign * p.radius,) + (0.0,) * p.empty_dim for c in p.centers for sign in (-1, 1)]
        return Finite(torch.tensor(both, dtype=torch.float64).view(-1, *p.shape), None)
    return None


def differing_coordinate(p: Gaussian, q: Gaussian) -> int | None:
    """Find the one coordinate in which two Gaussians differ.

    Args:
        p: One.
        q: The other.

    Returns:
        Its number; None if there are more.
    """
    differ = [i for i, pair in enumerate(_coordinates(p, q)) if pair[0] != pair[1]]
    return differ[0] if len(differ) == 1 else None


def _gaussians(p: Gaussian, q: Gaussian) -> float:
    place = differing_coordinate(p, q)
    if place is None:
        raise ValueError("the distance of Gaussians that differ in several standard deviations is not known")
    (m_p, s_p), (m_q, s_q) = _coordinates(p, q)[place]
    m, s = m_p - m_q, abs(s_p - s_q)
    density, tail = math.exp(-0.5 * (m / s) ** 2) / math.sqrt(2 * math.pi), math.erf(m / (s * math.sqrt(2)))
    return 2 * s * density + m * tail


def _coordinates(p: Any, q: Any) -> list[tuple[tuple[float, float], tuple[float, float]]]:
    return list(zip(zip(p.mean, p.std, strict=True), zip(q.mean, q.std, strict=True), strict=True))


def _vector(p: Any) -> tuple[float, ...]:
    return tuple(p.vector) if isinstance(p, Translated) else (0.0,) * math.prod(p.shape)


def _difference(p: Any, q: Any) -> tuple[float, ...]:
    return tuple((np.array(q) - np.array(p)).tolist())


def _shells_translation(p: SphericalShells, q: SphericalShells) -> tuple[float, ...] | None:
    same = (p.radius, p.empty_dim, p.shape, len(p.centers)) == (q.radius, q.empty_dim, q.shape, len(q.centers))
    if not same:
        return None
    shifts = {_difference(a, b) for a, b in zip(*(sorted(d.centers, key=tuple) for d in (p, q)), strict=True)}
    return (*shifts.pop(), *(0.0,) * p.empty_dim) if len(shifts) == 1 else None
