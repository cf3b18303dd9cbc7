"""Dense operators of circular convolutions of any size, entry by entry."""

from __future__ import annotations

import itertools

import numpy as np
from torch import Tensor


def circular_operator(
    kernel: Tensor, size: tuple[int, int], *, stride: tuple[int, int], dilation: tuple[int, int], groups: int
) -> np.ndarray:
    """Add kernel[o, i, a] at (o, t), (i, s t + d a mod n), straight from the definition."""
    k = kernel.double().numpy()
    out, inner, kh, kw = k.shape
    rows, columns = size[0] // stride[0], size[1] // stride[1]
    operator = np.zeros((out, rows, columns, inner * groups, *size))
    for t, u, a, b in itertools.product(range(rows), range(columns), range(kh), range(kw)):
        y, x = (stride[0] * t + dilation[0] * a) % size[0], (stride[1] * u + dilation[1] * b) % size[1]
        for o in range(out):
            first = o // (out // groups) * inner
            operator[o, t, u, first : first + inner, y, x] += k[o, :, a, b]
    return operator.reshape(out * rows * columns, -1)
