"""The norm of a convolution at the image size of the certificate."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from flint import arb

from onelip.certify.checker.network import Array, Step
from onelip.certify.paranoid.balls import ZERO, exact, root
from onelip.certify.paranoid.errors import NotCoveredError
from onelip.certify.paranoid.norms import cheap_norm, norm_at_most
from onelip.certify.paranoid.taps import Taps, convolution, grouped, padding_norm_squared
from onelip.certify.paranoid.torus import WORK, Pair, phases, torus_norm_proof, work

DENSE = 512
"""Largest side of a map of images that is written out as a matrix."""


@dataclass(frozen=True)
class Torus:
    """A circular convolution that contains another one.

    Attributes:
        size: Its pixels, multiples of the stride.
        stride: (vertical, horizontal).
        factor: Norm of what is applied before it.
    """

    size: Pair
    stride: Pair
    factor: Any


def convolution_norm(step: Step, shape: tuple[int, ...], claims: tuple[Any, ...]) -> Any:
    """Bound a padded and strided convolution of images of one size.

    Args:
        step: Has weight and geometry.
        shape: `(N, in, H, W)`.
        claims: Balls to try to prove, in this order.

    Returns:
        A ball whose upper end is a bound: at most one of the claims if it could be proved.
    """
    return _norm(step, convolution(step, shape), _around(step, shape), claims)


def adjoint_norm(step: Step, taps: Taps, claims: tuple[Any, ...], circular: bool) -> Any:
    """Bound the adjoint of a convolution of images of one size.

    Args:
        step: Has weight and geometry.
        taps: The map.
        claims: Balls to try to prove, in this order.
        circular: Does the convolution wrap around its image, which is the size of this one times the stride?

    Returns:
        A ball whose upper end is a bound.
    """
    stride, dilation = _pair(step, "stride"), _pair(step, "dilation")
    if circular:
        size = taps.size[0] * stride[0], taps.size[1] * stride[1]
    else:
        weight = step.arrays["weight"]
        reach = [
            (n - 1) * s + d * (k - 1) + 1
            for n, s, d, k in zip(taps.size, stride, dilation, weight.shape[2:], strict=True)
        ]
        size = _rounded(reach[0], stride[0]), _rounded(reach[1], stride[1])
    return _norm(step, taps, Torus(size, stride, arb(1)), claims)


def _pair(step: Step, name: str) -> Pair:
    first, second = step.wholes(name, 1, 2) if name in step.attributes else (1, 1)
    return first, second


def _rounded(size: int, stride: int) -> int:
    return -(-size // stride) * stride


def _around(step: Step, shape: tuple[int, ...]) -> Torus:
    stride, dilation, pads = _pair(step, "stride"), _pair(step, "dilation"), step.wholes("pads", 0, 4)
    sizes, sums = (shape[2], shape[3]), (pads[0] + pads[1], pads[2] + pads[3])
    reach = [d * (k - 1) for d, k in zip(dilation, step.arrays["weight"].shape[2:], strict=True)]
    mode = step.attributes["padding_mode"]
    if mode == "circular" and all(p <= e for p, e in zip(sums, reach, strict=True)):
        # A stride that does not divide the image only drops outputs of the convolution without it.
        divides = all(n % s == 0 for n, s in zip(sizes, stride, strict=True))
        return Torus(sizes, stride if divides else (1, 1), arb(1))
    extra = [min(p, e) for p, e in zip(sums, reach, strict=True)] if mode == "zeros" else sums
    size = _rounded(sizes[0] + extra[0], stride[0]), _rounded(sizes[1] + extra[1], stride[1])
    return Torus(size, stride, root(arb(padding_norm_squared(step, sizes))))


def _norm(step: Step, taps: Taps, torus: Torus, claims: tuple[Any, ...]) -> Any:
    weight = grouped(step, 0)
    simple = torus.factor * _tap_sum(weight)
    if any(simple <= claim for claim in claims):
        return simple
    possible = tuple(claim for claim in claims if claim.is_finite() and claim > 0)
    inner = tuple(claim / torus.factor for claim in possible)
    kernels = [phases(part, torus.stride, _pair(step, "dilation")) for part in weight]
    coarse = torus.size[0] // torus.stride[0], torus.size[1] // torus.stride[1]
    if sum(work(kernel, coarse) for kernel in kernels) > WORK:
        raise NotCoveredError(f"{step.op} {step.name!r} is too large to prove its constant in ball arithmetic")
    for i, claim in enumerate(possible):
        if all(torus_norm_proof(kernel, coarse, (inner[i],)) is not None for kernel in kernels):
            return claim
        if _dense_at_most(taps, claim):
            return claim
    return simple


def _dense_at_most(taps: Taps, claim: Any) -> bool:
    if min(taps.entries) > DENSE or math.prod(taps.entries) > DENSE**2 * 4:
        return False
    return all(norm_at_most(taps.dense(group), claim) for group in range(len(taps.weight)))


def _tap_sum(weight: Array) -> Any:
    # A convolution is a sum of shifts, each with one tap's matrix.
    groups, _, _, k_h, k_w = weight.shape
    sums = [
        sum((cheap_norm(exact(weight[g, :, :, a, b])) for a in range(k_h) for b in range(k_w)), ZERO)
        for g in range(groups)
    ]
    result = sums[0]
    for value in sums[1:]:
        result = result.max(value)
    return result
