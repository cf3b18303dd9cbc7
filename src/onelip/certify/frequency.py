"""Evaluate a convolution that is stored as a matrix for each frequency, with a bound of the rounding error.

With S(h, w) stored for 0 <= w <= W/2, the real map is, at pixel (p, q),
y = 1/(H W) sum over h, w of c_w Re(S(h, w) X(h, w) exp(2 pi i (h p / H + w q / W))), X the Fourier coefficients of the
image and c_w = 1 for w = 0 and w = W/2, else 2. The transforms are products with tables of cosines and sines instead
of fast ones, because products have simple error bounds.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from onelip.linalg import gamma

_TWIDDLE_ROUNDINGS = 64
"""A table entry is off by at most 2^-48, which is less than 64 units."""


def waves(size: int, count: int, like: Tensor) -> Tensor:
    """Table of exp(-2 pi i j k / size).

    Args:
        size: Number of pixels, the rows.
        count: Number of frequencies, the columns.
        like: Gives the device.

    Returns:
        `(size, count)` complex128.
    """
    turns = torch.outer(torch.arange(size), torch.arange(count)) % size
    turns = torch.where(2 * turns > size, turns - size, turns)
    angle = turns.double() * (2 * math.pi / size)
    return torch.complex(angle.cos(), -angle.sin()).to(like.device)


def frequency_forward(x: Tensor, spectrum: Tensor, bias: Tensor | None) -> Tensor:
    """Apply the map.

    Args:
        x: `(N, in, H, W)`, float64 wherever errors are bounded.
        spectrum: `(H, W//2 + 1, groups, out/groups, in/groups)`, complex of the same precision.
        bias: `(out,)` or None.

    Returns:
        `(N, out, H, W)` of the type of `x`.
    """
    height, width = x.shape[-2:]
    half, groups = spectrum.shape[1], spectrum.shape[2]
    kind = x.dtype.to_complex()
    rows, columns = waves(height, height, x).to(kind), waves(width, half, x).to(kind)
    coefficients = rows.mT @ (x.to(kind) @ columns)
    product = spectrum @ coefficients.permute(2, 3, 1, 0).unflatten(2, (groups, -1))
    weights = torch.full((half,), 2.0, dtype=x.dtype, device=x.device)
    weights[0] = 1.0
    if width % 2 == 0:
        weights[-1] = 1.0
    back = rows.conj() @ product.flatten(2, 3).permute(3, 2, 0, 1) @ (weights * columns.conj()).mT
    y = back.real / (height * width)
    return y if bias is None else y + bias[:, None, None]


def frequency_error(size: tuple[int, int], matrix_size: float, constant: float, terms: int) -> float:
    """Bound the rounding error of `frequency_forward` relative to the norm of the image, bias left out.

    A product with a table of n numbers of modulus 1 is off by at most gamma n times the norm of what it multiplies,
    against sqrt(n) for the product itself; the product with S by gamma || |S| ||.

    Args:
        size: (H, W).
        matrix_size: Bound of || |S(h, w)| ||, the largest Frobenius norm.
        constant: Bound of the norm of the map.
        terms: in/groups.

    Returns:
        The factor, doubled.
    """
    height, width = size
    pixels = height * width
    unit = gamma(8 * (height + width + terms) + 2 * _TWIDDLE_ROUNDINGS)
    forward = unit * (math.sqrt(height) * width + height * math.sqrt(width))
    product = constant * forward + unit * matrix_size * math.sqrt(pixels)
    backward = 2 / math.sqrt(pixels) * product
    return 2 * (backward + 2 * unit * (1 + 2 / math.sqrt(pixels)) * constant * math.sqrt(pixels))
