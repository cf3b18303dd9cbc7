"""Constants in the maximum norm, in balls: largest row sums of sizes, exactly."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from flint import arb

from onelip.certify.checker.network import INPUT, Graph, Step
from onelip.certify.paranoid.affine import transposed
from onelip.certify.paranoid.balls import ONE, ZERO, absolute, exact, full, largest, root
from onelip.certify.paranoid.composition import Composed, Shapes
from onelip.certify.paranoid.copies import put_terms
from onelip.certify.paranoid.errors import NotCoveredError
from onelip.certify.paranoid.operations import JOINS
from onelip.certify.paranoid.smooth import SMOOTH_CONSTANTS
from onelip.certify.paranoid.taps import Taps, circular_adjoint, convolution
from onelip.certify.paranoid.windows import longest_norm, matrices_sum

Shape = tuple[int, ...]

_ONE = frozenset({
    "abs", "beta_abs", "channel_pad", "channel_shuffle", "gather", "group_sort", "max_windows", "maxmin", "maxout",
    "n_activation", "permute", "pixel_shuffle", "pixel_unshuffle", "relu", "reshape", "shift", "slice", "soft_huber",
    "take", "zero_pad2d",
})  # fmt: skip
"""Copies, maxima, and functions of single entries whose derivative is at most 1."""

_ENTRYWISE = frozenset({
    "batch_norm", "divide", "leaky_relu", "multiply", "normalize", "prelu", "scale", *SMOOTH_CONSTANTS,
}) - {"log_softmax"}  # fmt: skip
"""Operations whose constant is that in l2: functions of single entries, and softmax by its row sums."""


def linf_constants(graph: Graph, shapes: Shapes, composed: Composed, prefix: str = "") -> dict[str, Any]:
    """Bound a network and each of its parts in the maximum norm.

    Args:
        graph: The network.
        shapes: Of a batch after each step, by its full name.
        composed: Its constants in l2.
        prefix: Of the full names of its steps.

    Returns:
        Constant from the input to each step, `INPUT` included.

    Raises:
        NotCoveredError: If an operation has no rule.
    """
    constants = {INPUT: ONE}
    for step in graph.steps:
        before = [constants[name] for name in step.inputs]
        if step.op in ("add", "subtract"):
            constants[step.name] = sum(before, ZERO)
        elif step.op in JOINS:
            constants[step.name] = largest(np.array(before, dtype=object))
        else:
            shape = shapes[prefix + step.inputs[0]]
            constants[step.name] = before[0] * _own(step, shape, prefix, shapes, composed)
    return constants


def _own(step: Step, shape: Shape, prefix: str, shapes: Shapes, composed: Composed) -> Any:
    if step.op in _ONE:
        return ONE
    if step.op in _ENTRYWISE:
        return composed.own[prefix + step.name]
    if step.op in ("householder", "householder2"):
        # Isometries of planes.
        return root(arb(2))
    if step.branch is not None:
        inner = linf_constants(step.branch, shapes, composed, f"{prefix}{step.name}/")[step.branch.output]
        return ONE.max(inner) if step.op == "concat_residual" else root((inner * inner + 1) / 2)
    if step.op not in _RULES:
        raise NotCoveredError(f"op={step.op!r} of {step.name!r} has no l_inf constant in ball arithmetic")
    return _RULES[step.op](step, shape)


def _linear(step: Step, shape: Shape) -> Any:
    return largest(absolute(exact(step.arrays["weight"])).sum(1))


def _center(step: Step, shape: Shape) -> Any:
    n = math.prod(shape[a + 1] for a in step.wholes("axes", 0))
    return arb(2 * (n - 1)) / n


def _sums(taps: Taps, channels: int) -> Any:
    # No two taps meet the same pixel unless padding copies it; then this is above the row sum.
    sizes = Taps(np.abs(taps.weight), taps.lines, taps.size)
    return largest(sizes.apply(full((1, channels, *taps.size), ONE)))


def _of(read: Callable[[Step, Shape], Taps]) -> Callable[[Step, Shape], Any]:
    return lambda step, shape: _sums(read(step, shape), shape[1])


_RULES: dict[str, Callable[[Step, Shape], Any]] = {
    **dict.fromkeys(("conv1d", "conv2d", "conv3d"), _of(convolution)),
    **dict.fromkeys(("conv_transpose1d", "conv_transpose2d", "conv_transpose3d"), _of(transposed)),
    "center": _center,
    "circular_conv_transpose2d": _of(circular_adjoint),
    "linear": _linear,
    # |1 - p| + (1 - p) in each row of I - 1 p^T.
    "log_softmax": lambda step, shape: arb(2),
    "matrices": matrices_sum,
    "put": lambda step, shape: arb(put_terms(step, shape)),
    "window_norm": longest_norm,
}
