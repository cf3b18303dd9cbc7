"""Constants of convolutions of volumes."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from onelip.certify.checker.arithmetic import plus, root, times
from onelip.certify.checker.convolutions import conv, conv_transpose, padded
from onelip.certify.checker.network import Array, Step
from onelip.certify.checker.norms import matrix_norm
from onelip.certify.checker.operations import require

DENSE_ENTRIES = 2**19
"""Largest matrix of a convolution whose own norm is proved."""


def volume_norm(step: Step, shape: tuple[int, ...], apply: Callable[[Step, Array], Array]) -> float:
    """Bound a convolution of volumes that pads with zeros, or a transposed one.

    It is a sum over taps of a shift times the tap's matrix. A small one is written as a matrix, whose entries are
    weights and zeros: products with 1 and sums with 0 are exact.

    Args:
        step: Has weight and groups.
        shape: Shape of its input.
        apply: The linear map.

    Returns:
        The constant.
    """
    weight, groups = step.arrays["weight"], step.whole("groups", 1)
    require(weight.ndim == 5 and len(weight) % groups == 0, step, f"weight {weight.shape} in {groups} groups")
    sums = []
    for part in np.split(weight, groups):
        taps = part.reshape(*part.shape[:2], -1)
        sums.append(plus(*(matrix_norm(taps[:, :, i]) for i in range(taps.shape[2]))))
    size = math.prod(shape[1:])
    if size * apply(step, np.zeros((1, *shape[1:]))).size > DENSE_ENTRIES:
        return max(sums)
    dense = apply(step, np.eye(size).reshape(size, *shape[1:])).reshape(size, -1)
    return min(max(sums), matrix_norm(dense))


def _without_bias(step: Step) -> Step:
    return replace(step, arrays={"weight": step.arrays["weight"]})


def _conv3d(step: Step, shape: tuple[int, ...]) -> float:
    step = _without_bias(step)
    if step.attributes["padding_mode"] == "zeros":
        return volume_norm(step, shape, lambda s, x: conv(s, x)[0])
    # What is convolved is the padded volume, of whose voxels some are copies: as often as the most copied one.
    numbered = np.arange(math.prod(shape[2:]), dtype=np.float64).reshape(1, 1, *shape[2:])
    copies = int(np.bincount(padded(step, numbered).astype(np.int64).ravel()).max())
    full = padded(step, np.zeros((1, *shape[1:]))).shape
    bare = replace(step, attributes={**step.attributes, "pads": [0] * 6, "padding_mode": "zeros"})
    return times(root(float(copies)), volume_norm(bare, full, lambda s, x: conv(s, x)[0]))


def _conv_transpose3d(step: Step, shape: tuple[int, ...]) -> float:
    return volume_norm(_without_bias(step), shape, lambda s, x: conv_transpose(s, x)[0])


VOLUME_CONSTANTS: dict[str, Callable[[Step, tuple[int, ...]], float]] = {
    "conv3d": _conv3d,
    "conv_transpose3d": _conv_transpose3d,
}
"""By operation."""
