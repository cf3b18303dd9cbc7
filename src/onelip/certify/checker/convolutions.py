"""Dense layers and convolutions in float64 with NumPy, and a bound of the rounding error made in them.

A sum of n products, in any order, is off by at most gamma_n times the sum of their sizes; so y = W x + b by at most
gamma_(n+2) (|| |W| || ||x|| + ||b||), and || |W| ||^2 is at most the product of the largest row sum and the largest
column sum of |W|.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from onelip.certify.checker.arithmetic import gamma
from onelip.certify.checker.network import Array, Step
from onelip.certify.checker.operations import SLACK, Result, norms, require

_COLUMN_ENTRIES = 2**22
"""Entries of patch matrices held at once."""

_RANKS = {f"conv{kind}{n}d": n + 2 for kind in ("", "_transpose") for n in (1, 2, 3)}
"""Axes of a batch of images."""


def absolute_norm(weight: Array) -> float:
    """Bound the norm of the map whose weights are the absolute values of the given ones.

    Args:
        weight: `(out, in)` or `(out, in/groups, kh, kw)`, or transposed.

    Returns:
        The root of the largest row sum times the largest column sum, rounded up.
    """
    taps = np.abs(weight).reshape(*weight.shape[:2], -1)
    # Roots first: the product of the sums of tiny weights would be 0.
    roots = math.sqrt(float(taps.sum((1, 2)).max())) * math.sqrt(float(taps.sum((0, 2)).max()))
    return math.nextafter(roots * SLACK, math.inf)


def _bias_norm(step: Step, pixels: int) -> float:
    if "bias" not in step.arrays:
        return 0.0
    return float(np.sqrt((step.arrays["bias"] ** 2).sum())) * math.sqrt(pixels) * SLACK


def _affine_error(step: Step, x: Array, y: Array, terms: int) -> Array:
    weight = step.arrays["weight"]
    pixels = y[0].size // len(step.arrays["bias"]) if "bias" in step.arrays else 0
    result: Array = (norms(x) * absolute_norm(weight) + _bias_norm(step, pixels)) * gamma(terms + 3)
    return result


def with_bias(step: Step, y: Array) -> Array:
    """Add a step's bias, if it has one.

    Args:
        step: The step.
        y: `(N, C, ...)`.

    Returns:
        The same shape.
    """
    if "bias" not in step.arrays:
        return y
    bias = step.arrays["bias"]
    require(bias.shape == (y.shape[1],), step, f"bias of shape {bias.shape} for {y.shape[1]} channels")
    return y + bias.reshape(-1, *[1] * (y.ndim - 2))


def linear(step: Step, x: Array) -> Result:
    """Apply y = W x + b to the last axis.

    Args:
        step: Has weight `(out, in)` and perhaps bias `(out,)`.
        x: `(N, ..., in)`.

    Returns:
        `(N, ..., out)`.
    """
    weight = step.arrays["weight"]
    require(weight.ndim == 2 and weight.shape[1] == x.shape[-1], step, f"weight {weight.shape} for input {x.shape}")
    y = x @ weight.T
    if "bias" in step.arrays:
        require(step.arrays["bias"].shape == (len(weight),), step, "bias must have one entry for each output")
        y = y + step.arrays["bias"]
    return y, _affine_error(step, x, y, weight.shape[1])


_NUMPY_MODES = {"zeros": "constant", "circular": "wrap", "reflect": "reflect", "replicate": "edge"}


def padded(step: Step, x: Array) -> Array:
    """Pad images as a convolution does.

    Args:
        step: Has `pads`, (before, after) of the first axis, then of the next, and `padding_mode`.
        x: `(N, C, ...)`.

    Returns:
        Padded images.
    """
    n_axes = x.ndim - 2
    pads = step.wholes("pads", 0, 2 * n_axes)
    sides = list(zip(pads[::2], pads[1::2], strict=True))
    mode = _NUMPY_MODES.get(step.attributes["padding_mode"])
    require(mode is not None and n_axes > 0, step, "padding mode or number of axes")
    fits = mode != "reflect" or all(max(side) < n for side, n in zip(sides, x.shape[2:], strict=True))
    require(fits, step, "padding exceeds the image")
    result: Array = np.pad(x, ((0, 0), (0, 0), *sides), mode=mode)  # type: ignore[call-overload]
    return result


def _correlate(step: Step, x: Array, weight: Array, stride: tuple[int, ...], dilation: tuple[int, ...]) -> Array:
    # Patches as rows of a matrix, a few samples at a time.
    n_axes = x.ndim - 2
    extent = tuple(d * (k - 1) + 1 for d, k in zip(dilation, weight.shape[2:], strict=True))
    fits = all(n >= e for n, e in zip(x.shape[2:], extent, strict=True))
    require(fits, step, f"image {x.shape[2:]} smaller than kernel")
    steps = tuple(slice(None, None, s) for s in (*stride, *dilation))
    view = sliding_window_view(x, extent, axis=tuple(range(2, x.ndim)))[(slice(None), slice(None), *steps)]
    sizes = view.shape[2 : 2 + n_axes]
    flat = weight.reshape(len(weight), -1).T
    size = max(1, _COLUMN_ENTRIES // (math.prod(sizes) * len(flat)))
    order = (0, *range(2, 2 + n_axes), 1, *range(2 + n_axes, 2 + 2 * n_axes))
    parts = []
    for start in range(0, len(x), size):
        rows = view[start : start + size].transpose(order).reshape(-1, len(flat))
        parts.append(np.moveaxis((rows @ flat).reshape(-1, *sizes, len(weight)), -1, 1))
    return np.concatenate(parts)


def _grouped(step: Step, x: Array, weight: Array, stride: tuple[int, ...], dilation: tuple[int, ...]) -> Array:
    groups = step.whole("groups", 1)
    fits = weight.ndim == x.ndim and len(weight) % groups == 0 and weight.shape[1] * groups == x.shape[1]
    require(fits, step, f"weight {weight.shape} in {groups} groups for input {x.shape}")
    inputs, weights = np.split(x, groups, 1), np.split(weight, groups, 0)
    outputs = [_correlate(step, a, w, stride, dilation) for a, w in zip(inputs, weights, strict=True)]
    return np.concatenate(outputs, 1)


def padded_correlation(step: Step, x: Array) -> Array:
    """Pad and correlate at stride 1, without bias.

    Args:
        step: Has weight and geometry.
        x: `(N, in, H, W)`.

    Returns:
        `(N, out, H', W')`.
    """
    return _grouped(step, padded(step, x), step.arrays["weight"], (1, 1), step.wholes("dilation", 1, 2))


def conv(step: Step, x: Array) -> Result:
    """Pad and correlate.

    Args:
        step: Has weight `(out, in/groups, k, ...)`.
        x: `(N, in, ...)`.

    Returns:
        `(N, out, ...)`.
    """
    weight = step.arrays["weight"]
    require(weight.ndim == x.ndim == _RANKS[step.op], step, f"weight {weight.shape} for input {x.shape}")
    image, n_axes = padded(step, x), x.ndim - 2
    y = _grouped(step, image, weight, step.wholes("stride", 1, n_axes), step.wholes("dilation", 1, n_axes))
    y = with_bias(step, y)
    return y, _affine_error(step, image, y, weight[0].size)


def of_height_one(step: Step) -> Step:
    """Read a 1-D convolution as one of images of height 1.

    Args:
        step: Has weight `(out, in/groups, k)`, with one number for each option of an axis.

    Returns:
        A step like those of `conv2d`.
    """
    weight = step.arrays["weight"]
    require(weight.ndim == 3, step, f"weight {weight.shape}")
    axes = {
        "stride": [1, *step.wholes("stride", 1, 1)],
        "pads": [0, 0, *step.wholes("pads", 0, 2)],
        "dilation": [1, *step.wholes("dilation", 1, 1)],
    }
    return replace(step, attributes={**step.attributes, **axes}, arrays={**step.arrays, "weight": weight[:, :, None]})


def _adjoint(step: Step, x: Array, stride: tuple[int, ...]) -> Array:
    # Spread each pixel over the kernel's area: the adjoint of correlating without padding.
    weight, groups = step.arrays["weight"], step.whole("groups", 1)
    require(weight.ndim == x.ndim and len(weight) == x.shape[1], step, f"weight {weight.shape}")
    require(len(weight) % groups == 0, step, "groups do not divide the channels")
    dilation, sizes = step.wholes("dilation", 1, x.ndim - 2), x.shape[2:]
    axes = list(zip(sizes, stride, dilation, weight.shape[2:], strict=True))
    y = np.zeros((len(x), groups, weight.shape[1], *((n - 1) * s + d * (k - 1) + 1 for n, s, d, k in axes)))
    inputs = x.reshape(len(x), groups, -1, math.prod(sizes))
    weights = weight.reshape(groups, -1, *weight.shape[1:])
    for place in np.ndindex(*weight.shape[2:]):
        tap = weights[(slice(None), slice(None), slice(None), *place)].transpose(0, 2, 1) @ inputs
        reached = (slice(t * d, t * d + (n - 1) * s + 1, s) for t, (n, s, d, _) in zip(place, axes, strict=True))
        y[(slice(None), slice(None), slice(None), *reached)] += tap.reshape(len(x), groups, -1, *sizes)
    return y.reshape(len(x), -1, *y.shape[3:])


def _adjoint_terms(step: Step) -> int:
    weight = step.arrays["weight"]
    return len(weight) // step.whole("groups", 1) * math.prod(weight.shape[2:])


def two_products_error(step: Step, x: Array, y: Array, pixels: int) -> Array:
    """Bound the rounding error of x - 2 W^T relu(W x + b), and of 2 A^T relu(B x + b) with W = [A B].

    The error of W x + b goes through W^T; that of W^T is relative to |W|^T |relu(W x + b)|. Both at most
    gamma || |W| || (|| |W| || ||x|| + ||b||), and everything is doubled.

    Args:
        step: Has the weight and perhaps a bias.
        x: `(N, ...)`.
        y: `(N, ...)`, the output.
        pixels: How often the bias is added.

    Returns:
        `(N,)`.
    """
    weight = step.arrays["weight"]
    size = absolute_norm(weight)
    terms = max(weight.shape[:2]) * weight[0, 0].size + 3
    hidden = norms(x) * size + _bias_norm(step, pixels)
    result: Array = 4 * size * hidden * gamma(terms) * SLACK + (norms(x) + norms(y)) * gamma(4)
    return result


def gradient_residual1d(step: Step, x: Array) -> Result:
    """Apply y = x - 2 W^T max(0, W x + b) to the last axis.

    Args:
        step: Has weight `(inner, in)` and perhaps bias `(inner,)`.
        x: `(N, ..., in)`.

    Returns:
        The same shape.
    """
    hidden = np.maximum(linear(step, x)[0], 0)
    y = x - 2 * (hidden @ step.arrays["weight"])
    return y, two_products_error(step, x, y, x[0].size // x.shape[-1])


def gradient_residual2d(step: Step, x: Array) -> Result:
    """Apply y = x - 2 W^T max(0, W x + b) with a convolution W that keeps the image size, and its adjoint.

    Args:
        step: Has weight `(inner, in/groups, kh, kw)` and perhaps bias `(inner,)`.
        x: `(N, in, H, W)`.

    Returns:
        The same shape.
    """
    one = (1, 1)
    hidden = with_bias(step, padded_correlation(step, x))
    require(hidden.shape[2:] == x.shape[2:], step, "its convolution changes the image size")
    full = _adjoint(step, np.maximum(hidden, 0), one)
    y = x - 2 * (
        _wrapped(step, full, x.shape[2:])
        if step.attributes["padding_mode"] == "circular"
        else _cropped(step, full, x.shape[2:])
    )
    return y, two_products_error(step, x, y, x[0, 0].size)


def _cropped(step: Step, full: Array, size: tuple[int, ...]) -> Array:
    require(step.attributes["padding_mode"] == "zeros", step, "its adjoint is known for zero and circular padding")
    top, _, left, _ = step.wholes("pads", 0, 4)
    return full[:, :, top : top + size[0], left : left + size[1]]


def _wrapped(step: Step, full: Array, size: tuple[int, ...]) -> Array:
    # What lies outside of the image is added to the pixel on which it falls on the torus.
    top, _, left, _ = step.wholes("pads", 0, 4)
    by_row = np.zeros((*full.shape[:2], size[0], full.shape[3]))
    for i in range(full.shape[2]):
        by_row[:, :, (i - top) % size[0]] += full[:, :, i]
    y = np.zeros((*full.shape[:2], *size))
    for j in range(full.shape[3]):
        y[:, :, :, (j - left) % size[1]] += by_row[:, :, :, j]
    return y


def conv_transpose(step: Step, x: Array) -> Result:
    """Apply the adjoint of a zero-padded convolution.

    Args:
        step: Has weight `(in, out/groups, k, ...)`.
        x: `(N, in, ...)`.

    Returns:
        `(N, out, ...)`.
    """
    require(x.ndim == _RANKS[step.op], step, f"input {x.shape}")
    n_axes = x.ndim - 2
    full = _adjoint(step, x, step.wholes("stride", 1, n_axes))
    padding, extra = step.wholes("padding", 0, n_axes), step.wholes("output_padding", 0, n_axes)
    extended = np.pad(full, ((0, 0), (0, 0), *((0, o) for o in extra)))
    kept = (slice(p, n - p) for p, n in zip(padding, extended.shape[2:], strict=True))
    y = extended[(slice(None), slice(None), *kept)]
    require(y.size > 0, step, "padding leaves no pixel")
    y = with_bias(step, y)
    return y, _affine_error(step, x, y, _adjoint_terms(step))


def circular_conv_transpose2d(step: Step, x: Array) -> Result:
    """Apply the adjoint of a circular convolution from images of size (s h, s w) to size (h, w).

    Args:
        step: Has weight `(in, out/groups, kh, kw)`.
        x: `(N, in, h, w)`.

    Returns:
        `(N, out, s h, s w)`.
    """
    full = _adjoint(step, x, step.wholes("stride", 1, 2))
    (s_h, s_w), (height, width) = step.wholes("stride", 1, 2), x.shape[2:]
    y = with_bias(step, _wrapped(step, full, (height * s_h, width * s_w)))
    return y, _affine_error(step, x, y, _adjoint_terms(step))


AFFINE: dict[str, Callable[[Step, Array], Result]] = {
    "circular_conv_transpose2d": circular_conv_transpose2d,
    "conv1d": conv,
    "conv2d": conv,
    "conv3d": conv,
    "conv_transpose1d": conv_transpose,
    "conv_transpose2d": conv_transpose,
    "conv_transpose3d": conv_transpose,
    "gradient_residual1d": gradient_residual1d,
    "gradient_residual2d": gradient_residual2d,
    "linear": linear,
}
"""Affine operations by name."""
