"""The checker's own constants in the maximum norm.

The norm of a linear map is its largest absolute row sum: at most what the map with the sizes of the weights returns for
an input of ones. Maps of single entries have the same constant in every norm.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from onelip.certify.checker.arithmetic import above, gamma, plus, root, times
from onelip.certify.checker.convolutions import AFFINE
from onelip.certify.checker.elementwise import FUNCTIONS
from onelip.certify.checker.errors import VerificationError
from onelip.certify.checker.evaluation import ROOTS, Measured
from onelip.certify.checker.network import INPUT, Step
from onelip.certify.checker.windows import magnitudes

Shape = tuple[int, ...]
"""Shape of one sample."""

_ONE = frozenset({
    "abs", "beta_abs", "channel_pad", "channel_shuffle", "gather", "group_sort", "max_windows", "maxmin", "maxout",
    "n_activation", "permute", "pixel_shuffle", "pixel_unshuffle", "relu", "reshape", "shift", "slice", "soft_huber",
    "take", "zero_pad2d",
})  # fmt: skip

_ENTRYWISE = frozenset({"batch_norm", "divide", "leaky_relu", "multiply", "normalize", "prelu", "scale", *FUNCTIONS})

_PLANES = frozenset({"householder", "householder2"})


def linf_constants(measured: Measured) -> dict[str, float]:
    """Bound a network and each of its parts in the maximum norm.

    Args:
        measured: The network with its l2 constants.

    Returns:
        Constant from the input to each step, `INPUT` included.

    Raises:
        VerificationError: If an operation has no rule here.
    """
    constants = {INPUT: 1.0}
    for step in measured.graph.steps:
        before = [constants[name] for name in step.inputs]
        if step.op in ("add", "subtract"):
            constants[step.name] = plus(*before)
        elif step.op in ROOTS:
            constants[step.name] = max(before)
        else:
            constants[step.name] = times(before[0], _own(measured, step))
    return constants


def _own(measured: Measured, step: Step) -> float:
    if step.op in _ONE:
        return 1.0
    if step.op in _ENTRYWISE:
        return measured.own[step.name]
    if step.op in _PLANES:
        # Isometries of planes.
        return root(2.0)
    rule = _RULES.get(step.op)
    if rule is None:
        raise VerificationError(f"op={step.op!r} of {step.name!r} has no l_inf constant known to this checker")
    return rule(measured, step)


def _row_sums(measured: Measured, step: Step) -> float:
    shape = measured.shapes[step.inputs[0]]
    sizes = {"weight": np.abs(step.arrays["weight"])}
    # Copied pixels are ones too, whichever way they are padded.
    top = float(AFFINE[step.op](replace(step, arrays=sizes), np.ones((1, *shape)))[0].max())
    return above(top * (1 + gamma(2 * sizes["weight"].size))) if top else 0.0


def _center(measured: Measured, step: Step) -> float:
    shape = measured.shapes[step.inputs[0]]
    n = math.prod(shape[a] for a in step.wholes("axes", 0))
    return above(2 * (n - 1) / n) if n > 1 else 0.0


def _matrices(measured: Measured, step: Step) -> float:
    # The row sums of a Kronecker product are the products of those of its factors.
    tops = ((float(np.abs(m).sum(1).max()), gamma(m.shape[1] + 1)) for m in step.arrays.values())
    return times(*(above(top * (1 + off)) if top else 0.0 for top, off in tops))


def _put(measured: Measured, step: Step) -> float:
    index = step.arrays["index"].astype(np.int64)
    return float(np.bincount(index[index >= 0], minlength=1).max())


def _log_softmax(measured: Measured, step: Step) -> float:
    # |1 - p| + (1 - p) in each row of I - 1 p^T.
    return 2.0 if measured.shapes[step.inputs[0]][step.whole("axis")] > 1 else 0.0


def _window_norm(measured: Measured, step: Step) -> float:
    rows, columns = magnitudes(step, measured.shapes[step.inputs[0]])
    return times(*(above(float((np.sqrt(n) * scale).max()) * (1 + gamma(3))) for n, scale in (rows, columns)))


def _branch(measured: Measured, step: Step) -> float:
    inner = measured.branches[step.name]
    constant = linf_constants(inner)[inner.graph.output]
    if step.op == "concat_residual":
        return max(1.0, constant)
    return root(plus(1.0, times(constant, constant)) / 2)


_RULES: dict[str, Callable[[Measured, Step], float]] = {
    "center": _center,
    "circular_conv_transpose2d": _row_sums,
    "concat_residual": _branch,
    "conv1d": _row_sums,
    "conv2d": _row_sums,
    "conv3d": _row_sums,
    "conv_transpose1d": _row_sums,
    "conv_transpose2d": _row_sums,
    "conv_transpose3d": _row_sums,
    "l2_norm_residual": _branch,
    "linear": _row_sums,
    "log_softmax": _log_softmax,
    "matrices": _matrices,
    "put": _put,
    # Row sums 2 p (1 - p).
    "softmax": lambda measured, step: 0.5,
    "window_norm": _window_norm,
}
