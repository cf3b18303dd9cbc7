"""Norms of convolutions on rings, on which each frequency is a map of its own.

On a ring whose length is a multiple of the stride s, a strided circular convolution acts on each frequency of the
coarse ring of m pixels on its own: by the sum over q of P_q exp(i t q), t = 2 pi u / m, where P_q are the taps of the
kernel that acts on the s phases of the image instead of on the image. What belongs to -t is the complex conjugate.

Where a convolution is a part of that of the ring because zeros separate one turn from the next, multiplying pixels and
outputs by exp(i f x), which changes no norm, turns t into t + f: on a twisted ring, t = 2 pi (u + 1/2) / m.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from flint import arb, fmpq

from onelip.certify.checker.network import Array
from onelip.certify.paranoid.balls import Balls, collect, exact, product
from onelip.certify.paranoid.norms import LARGEST

WORK = 1e11
"""Products of balls after which a proof is taken to be too long, some minutes."""

_CHUNK = 2**19
"""Entries of matrices held at once."""


@dataclass(frozen=True)
class Ring:
    """What an axis is a part of.

    Attributes:
        outputs: Pixels of the coarse ring.
        stride: Pixels of the ring for each of them.
        copies: The square of the norm of what is applied before.
        twisted: Do zeros separate one turn from the next?
    """

    outputs: int
    stride: int
    copies: int
    twisted: bool


def phases(kernel: Array, stride: tuple[int, ...], dilation: tuple[int, ...]) -> Array:
    """Rewrite a strided and dilated kernel as one of stride 1 that acts on the phases of the image.

    Args:
        kernel: `(out, in, k, ...)`.
        stride: Of each axis.
        dilation: Of each axis.

    Returns:
        `(out, in s ..., q, ...)`.
    """
    out, inner, *sides = kernel.shape
    counts = [-(-(d * (k - 1) + 1) // s) for d, k, s in zip(dilation, sides, stride, strict=True)]
    result = np.zeros((out, inner, *stride, *counts))
    for place in np.ndindex(*sides):
        split = [divmod(a * d, s) for a, d, s in zip(place, dilation, stride, strict=True)]
        target = (slice(None), slice(None), *(r for _, r in split), *(q for q, _ in split))
        result[target] = kernel[(slice(None), slice(None), *place)]
    return result.reshape(out, -1, *counts)


def frequencies(rings: tuple[Ring, ...]) -> list[tuple[int, ...]]:
    """List one of each pair t, -t of frequencies.

    Args:
        rings: Of each axis.

    Returns:
        2 u + 1 for twisted rings and 2 u for others: frequencies in units of pi / m.
    """
    points = []
    for place in np.ndindex(*(ring.outputs for ring in rings)):
        here = tuple(2 * u + ring.twisted for u, ring in zip(place, rings, strict=True))
        there = tuple(-t % (2 * ring.outputs) for t, ring in zip(here, rings, strict=True))
        if here <= there:
            points.append(here)
    return points


def is_real(point: tuple[int, ...], rings: tuple[Ring, ...]) -> bool:
    """Say whether all waves of a frequency are real.

    Args:
        point: From `frequencies`.
        rings: Of each axis.

    Returns:
        The answer.
    """
    return all(t % ring.outputs == 0 for t, ring in zip(point, rings, strict=True))


def work(kernel: Array, points: int) -> float:
    """Estimate how long the norms of complex matrices take.

    Args:
        kernel: `(out, in, ...)`.
        points: How many matrices of the size of its taps.

    Returns:
        Products of balls.
    """
    small, large = sorted(kernel.shape[:2])
    return points * 8.0 * small * small * (large + 2 * small) * (1 if small <= LARGEST else 1e9)


def symbols(kernel: Array, rings: tuple[Ring, ...]) -> Iterator[list[Balls]]:
    """Evaluate the kernel at all frequencies of its first axes.

    Args:
        kernel: `(out, in, q, ..., k, ...)`, of stride 1 along the first axes.
        rings: Of the first axes; none for the kernel itself.

    Yields:
        For each tap of the other axes `(out, in)` if it is real, or `(2 out, 2 in)`: [[Re, -Im], [Im, Re]].
    """
    out, inner, *sides = kernel.shape
    q, rest = sides[: len(rings)], math.prod(sides[len(rings) :])
    taps = exact(kernel.reshape(out * inner, math.prod(q), rest).transpose(0, 2, 1).reshape(-1, math.prod(q)))
    points = frequencies(rings)
    chunk = max(1, _CHUNK // (len(taps) * 2))
    for start in range(0, len(points), chunk):
        part = points[start : start + chunk]
        waves = [_wave(place, point, rings) for place in np.ndindex(*q) for point in part]
        table = collect([number for wave in waves for number in wave], (math.prod(q), 2 * len(part)))
        values = product(taps, table).reshape(out, inner, rest, -1, 2).transpose(3, 2, 4, 0, 1)
        for point, value in zip(part, values, strict=True):
            real = is_real(point, rings)
            yield [tap[0] if real else as_real(tap[0], tap[1]) for tap in value]


def as_real(real: Balls, imaginary: Balls) -> Balls:
    """Write a complex matrix as a real one of twice its size and of the same norm.

    Args:
        real: `(m, n)`.
        imaginary: `(m, n)`.

    Returns:
        `(2 m, 2 n)`.
    """
    return np.concatenate([np.concatenate([real, -imaginary], 1), np.concatenate([imaginary, real], 1)], 0)


def _wave(place: tuple[int, ...], point: tuple[int, ...], rings: tuple[Ring, ...]) -> tuple[Any, Any]:
    total = 2 * math.prod(ring.outputs for ring in rings)
    sizes = zip(place, point, rings, strict=True)
    return turn(sum(a * t * (total // (2 * ring.outputs)) for a, t, ring in sizes) % total, total)


@cache
def turn(numerator: int, denominator: int) -> tuple[Any, Any]:
    """Evaluate a root of unity.

    Args:
        numerator: Of a part of a turn.
        denominator: Of it.

    Returns:
        Cosine and sine of 2 pi times the quotient.
    """
    sine, cosine = arb.sin_cos_pi_fmpq(fmpq(2 * numerator, denominator))
    return cosine, sine
