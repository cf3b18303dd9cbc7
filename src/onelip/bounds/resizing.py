"""The matrices of torch's linear resizing along one axis, in rational arithmetic, each entry rounded once.

Output i looks at position p_i of the input: p_i = (i + 1/2) r - 1/2, or i r with aligned corners, r the ratio of sizes.
Linear resizing interpolates between the pixels on either side, with p_i at least 0; cubic resizing convolves with Keys'
kernel (a = -3/4; -1/2 if antialiased); pixels beyond the border are those at the border. Antialiasing widens either
kernel by r where r > 1, and divides by the sum of what is inside of the image.
"""

from __future__ import annotations

import math
from fractions import Fraction

import torch
from torch import Tensor

Row = dict[int, Fraction]

MODES = {"linear": "linear", "bilinear": "linear", "trilinear": "linear", "bicubic": "cubic"}
"""What torch's modes do along each axis."""

_HALF = Fraction(1, 2)


def resize_matrix(
    size: int, outputs: int, kernel: str, align_corners: bool, scale: float | None = None, antialias: bool = False
) -> Tensor:
    """Write linear resizing of a line as a matrix.

    Args:
        size: Pixels of the line.
        outputs: Pixels of the result.
        kernel: "linear" or "cubic".
        align_corners: Are the outer pixels of both at the same places?
        scale: The factor that torch was given instead of a size, if it keeps it.
        antialias: Widen the kernel when shrinking?

    Returns:
        `(outputs, size)` float64.
    """
    ratio = _ratio(size, outputs, align_corners, scale)
    matrix = torch.zeros(outputs, size, dtype=torch.float64)
    for i in range(outputs):
        if antialias:
            row = _antialiased(size, i, ratio, kernel)
        else:
            place = i * ratio if align_corners else (i + _HALF) * ratio - _HALF
            row = _linear(size, place) if kernel == "linear" else _cubic(size, place)
        for pixel, weight in row.items():
            matrix[i, pixel] = float(weight)
    return matrix


def _ratio(size: int, outputs: int, align_corners: bool, scale: float | None) -> Fraction:
    if align_corners:
        return Fraction(size - 1, outputs - 1) if outputs > 1 else Fraction(0)
    # Torch takes the reciprocal in float64.
    return Fraction(size, outputs) if scale is None else Fraction(1 / scale)


def _linear(size: int, place: Fraction) -> Row:
    place = max(place, Fraction(0))
    low = min(math.floor(place), size - 1)
    share = min(place - low, Fraction(1))
    row = {low: 1 - share}
    high = min(low + 1, size - 1)
    row[high] = row.get(high, Fraction(0)) + share
    return row


def keys(t: Fraction, a: Fraction) -> Fraction:
    """Evaluate Keys' cubic convolution kernel.

    Args:
        t: Distance in pixels.
        a: Its slope at 1.

    Returns:
        The weight; 0 from a distance of 2 on.
    """
    t = abs(t)
    if t <= 1:
        return ((a + 2) * t - (a + 3)) * t * t + 1
    return ((t - 5) * t + 8) * t * a - 4 * a if t < 2 else Fraction(0)


def _cubic(size: int, place: Fraction) -> Row:
    low = math.floor(place)
    row: Row = {}
    for pixel in range(low - 1, low + 3):
        inside = min(max(pixel, 0), size - 1)
        row[inside] = row.get(inside, Fraction(0)) + keys(place - pixel, Fraction(-3, 4))
    return row


def _antialiased(size: int, i: int, ratio: Fraction, kernel: str) -> Row:
    # Torch takes the centre of antialiased pixels the same way with and without aligned corners.
    width = max(ratio, Fraction(1))
    center = (i + _HALF) * ratio
    reach = (1 if kernel == "linear" else 2) * width
    pixels = range(max(math.floor(center - reach), 0), min(math.ceil(center + reach), size))
    distances = {pixel: (pixel + _HALF - center) / width for pixel in pixels}
    if kernel == "linear":
        weights = {pixel: max(Fraction(0), 1 - abs(t)) for pixel, t in distances.items()}
    else:
        weights = {pixel: keys(t, -_HALF) for pixel, t in distances.items()}
    total = sum(weights.values())
    return {pixel: weight / total for pixel, weight in weights.items()}
