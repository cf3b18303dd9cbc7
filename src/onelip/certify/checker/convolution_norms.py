"""Norms of convolutions of images of one size, for every padding and for transposed ones. NumPy only."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence

import numpy as np

from onelip.certify.checker.arithmetic import above, plus, root, times
from onelip.certify.checker.errors import VerificationError
from onelip.certify.checker.images import Axis, Images, images, padded_axis, transposed_axis
from onelip.certify.checker.network import Array
from onelip.certify.checker.norms import conv_norm, rescaled
from onelip.certify.checker.stripes import below, cost

_USUAL, _MOST, _PATIENT = 8e10, 2e12, 6e12
"""Operations of the proof pixel by pixel: up to which it is tried before others, and at all."""


def padded_norm(
    weight: Array,
    sizes: Sequence[int],
    stride: Sequence[int],
    dilation: Sequence[int],
    groups: int,
    pads: Sequence[tuple[int, int]],
    mode: str,
    claimed: float,
) -> float:
    """Bound a convolution of one to three axes at one image size.

    Args:
        weight: `(out, in/groups, taps ...)`, finite.
        sizes: Pixels along each axis.
        stride: One number for each axis.
        dilation: Likewise.
        groups: Number of groups.
        pads: Pixels (before, after) along each axis.
        mode: "zeros", "circular", "reflect" or "replicate".
        claimed: What to try to prove.

    Returns:
        A proved bound: `claimed`, or less, if it could be proved.
    """
    each = zip(sizes, weight.shape[2:], stride, dilation, pads, strict=True)
    axes = tuple(padded_axis(n, k, s, d, (p[0], p[1]), mode) for n, k, s, d, p in each)
    found = _norm(weight, axes, stride, dilation, groups, claimed)
    if found <= claimed or mode != "circular" or max(stride) == 1 or all(axis.copies == 1 for axis in axes):
        return found
    # A stride leaves out outputs.
    return min(found, padded_norm(weight, sizes, (1,) * len(axes), dilation, groups, pads, mode, claimed))


def transposed_norm(
    weight: Array,
    sizes: Sequence[int],
    stride: Sequence[int],
    dilation: Sequence[int],
    groups: int,
    padding: Sequence[int],
    output_padding: Sequence[int],
    claimed: float,
) -> float:
    """Bound a transposed convolution of one to three axes at one image size, by the convolution that it is adjoint to.

    Args:
        weight: `(in, out/groups, taps ...)`, finite.
        sizes: Pixels of its input along each axis.
        stride: One number for each axis.
        dilation: Likewise.
        groups: Number of groups.
        padding: Pixels cropped on either side, for each axis.
        output_padding: Pixels added behind, for each axis.
        claimed: What to try to prove.

    Returns:
        A proved bound: `claimed`, or less, if it could be proved.
    """
    each = zip(sizes, weight.shape[2:], stride, dilation, padding, output_padding, strict=True)
    axes = tuple(transposed_axis(*axis) for axis in each)
    return _norm(weight, axes, stride, dilation, groups, claimed)


def _norm(
    weight: Array, axes: tuple[Axis, ...], stride: Sequence[int], dilation: Sequence[int], groups: int, claimed: float
) -> float:
    if len(weight) % groups:
        raise VerificationError(f"groups={groups} do not divide the {len(weight)} channels")
    if not weight.any():
        return 0.0
    known = _for_every_size(weight, axes, stride, dilation, groups, claimed)
    if known <= claimed or not 0 < claimed < math.inf:
        return known
    exponent = math.frexp(float(np.abs(weight).max()))[1]
    scaled = np.ldexp(weight, -exponent).reshape(groups, -1, *weight.shape[1:])
    target = rescaled(claimed, exponent)
    return claimed if any(below(way, target) for way in _ways(images(scaled, axes))) else known


def _for_every_size(
    weight: Array, axes: tuple[Axis, ...], stride: Sequence[int], dilation: Sequence[int], groups: int, claimed: float
) -> float:
    # On the infinite image, after a map that copies each pixel so many times.
    factor = root(float(math.prod(axis.copies for axis in axes)))
    if weight.ndim > 4:
        return times(factor, _sum_of_taps(weight))
    if weight.ndim == 3:
        weight, stride, dilation = weight[:, :, None], (1, *stride), (1, *dilation)
    target = claimed if factor == 1.0 else claimed / factor * (1 - 2.0**-50)
    return times(factor, conv_norm(weight, tuple(stride), tuple(dilation), groups, target))


def _sum_of_taps(weight: Array) -> float:
    exponent = math.frexp(float(np.abs(weight).max()))[1]
    taps = np.ldexp(weight, -exponent).reshape(*weight.shape[:2], -1)
    # A relative error of a unit for each number summed is covered by far.
    sums = [root(float((taps[:, :, i] ** 2).sum()) * (1 + 1e-9)) for i in range(taps.shape[2])]
    try:
        return above(math.ldexp(plus(*sums), exponent))
    except OverflowError:
        return math.inf


def _ways(operators: Images) -> Iterator[Images]:
    axes = operators.axes
    if all(axis.closed for axis in axes):
        yield operators.at_frequencies(tuple(range(len(axes))), (0,) * len(axes))
    price = cost(operators)
    if price <= _USUAL:
        yield operators
    for kept in range(len(axes)) if len(axes) > 1 else (-1,):
        given_up = tuple(i for i in range(len(axes)) if i != kept)
        for halves in itertools.product(*((0, 1) if axes[i].parted else (0,) for i in given_up)):
            way = operators.at_frequencies(given_up, halves)
            if cost(way) <= _MOST:
                yield way
    if _USUAL < price <= _PATIENT:
        yield operators
