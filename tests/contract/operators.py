"""Extreme singular values of layers that are too large for a dense matrix.

A circular convolution is a block-circulant matrix: its answers to one impulse for each channel and pixel of the
stride's window hold all of it, and a Fourier transform of those in NumPy makes it block-diagonal. That the layer is
equivariant is not assumed: the same matrices must reproduce its answer to random noise.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from tests.contract.cases import Case
from tests.contract.measure import gains, is_affine, outputs
from torch import Tensor, nn

DENSE = 300
"""Up to so many input entries the dense matrix is cheapest."""

_POWER_STEPS = 12


class Undefined(Exception):  # noqa: N818  (not a failure)
    """The layer refuses images of this size."""


@dataclass(frozen=True)
class Extremes:
    """What was measured.

    Attributes:
        largest: The largest singular value (a lower estimate of it where only power iteration was possible), or the
            norm that the record names.
        smallest: The smallest on the smaller side; 0 where it was not measured.
        isometric: Is this a circular convolution of an image that the stride divides, so that an orthogonal layer must
            have all singular values 1?
    """

    largest: float
    smallest: float
    isometric: bool


def extremes(layer: nn.Module, case: Case) -> Extremes:
    """Measure a convolution.

    Raises:
        Undefined: If it refuses the image, with its sentence.
    """
    try:
        y = outputs(layer, case.input(1))
    except ValueError as error:
        raise Undefined(str(error)) from error
    circular = _is_circular(case, tuple(y.shape[-2:]))
    if y.numel() == 0:
        return Extremes(0.0, 0.0, False)
    if max(case.input(1).numel(), y.numel()) <= DENSE:
        found = gains(layer, case.shape, case.dtype, case.record.norm)
        return Extremes(found.largest, found.smallest, circular)
    if case.record.norm == "linf":
        return Extremes(_longest_row(layer, case), 0.0, False)
    affine = is_affine(layer, case.shape, case.dtype)
    if circular and affine:
        return _by_frequency(layer, case)
    return Extremes(_power_iteration(layer, case), 0.0, False)


def _is_circular(case: Case, size: tuple[int, int]) -> bool:
    (h, w), (sh, sw) = case.shape[1:], case.stride()
    wanted = (h * sh, w * sw) if case.record.kind == "conv_transpose2d" else (h / sh, w / sw)
    return case.options.get("padding_mode") == "circular" and size == wanted


def _by_frequency(layer: nn.Module, case: Case) -> Extremes:
    transposed = case.record.kind == "conv_transpose2d"
    sh, sw = (1, 1) if transposed else case.stride()
    channels, h, w = case.shape
    impulses = torch.zeros(channels, sh, sw, channels, h, w, dtype=case.dtype)
    for i in range(sh):
        for j in range(sw):
            impulses[:, i, j, :, i, j] = torch.eye(channels, dtype=case.dtype)
    zero = outputs(layer, torch.zeros(1, *case.shape, dtype=case.dtype)).double()
    answers = outputs(layer, impulses.flatten(0, 2)).double() - zero
    grid = (h // sh, w // sw)
    columns = _phases(answers, grid).numpy()
    # (columns, rows, h, w) to (h, w, rows, columns)
    blocks = np.fft.fft2(columns).transpose(2, 3, 1, 0)
    _check_equivariance(layer, case, blocks, grid, zero)
    values = np.linalg.svd(blocks, compute_uv=False)
    return Extremes(float(values.max()), float(values.min()), True)


def _phases(images: Tensor, grid: tuple[int, int]) -> Tensor:
    # (N, C, a h, b w) to (N, C a b, h, w): the pixels of a window become channels.
    a, b = images.shape[-2] // grid[0], images.shape[-1] // grid[1]
    split = images.unflatten(-1, (grid[1], b)).unflatten(-3, (grid[0], a))
    return split.permute(0, 1, 3, 5, 2, 4).flatten(1, 3)


def _check_equivariance(layer: nn.Module, case: Case, blocks: np.ndarray, grid: tuple[int, int], zero: Tensor) -> None:
    x = case.input(1)
    coefficients = np.fft.fft2(_phases(x.double(), grid).numpy()).transpose(2, 3, 1, 0)
    product = np.fft.ifft2((blocks @ coefficients).transpose(3, 2, 0, 1)).real
    answer = _phases(outputs(layer, x).double() - zero, grid).numpy()
    gap = np.abs(product - answer).max() / max(np.abs(answer).max(), 1e-12)
    assert gap <= 1e4 * torch.finfo(case.dtype).eps, f"the layer is not a strided circular convolution: off by {gap}"


def _longest_row(layer: nn.Module, case: Case) -> float:
    # The largest sum of absolute entries of a row, over the rows of one pixel in the middle, which sees no border.
    x = case.input(1)
    channels, h, w = outputs(layer, x).shape[1:]
    copies = x.expand(channels, *x.shape[1:]).clone().requires_grad_()
    middle = layer(copies)[:, :, h // 2, w // 2].diagonal().sum()
    (rows,) = torch.autograd.grad(middle, copies)
    return float(rows.double().abs().flatten(1).sum(1).max())


def _power_iteration(layer: nn.Module, case: Case) -> float:
    # Never above the norm of the Jacobian at this point; several vectors and points at once.
    x = case.input(4).requires_grad_()
    y = layer(x)
    # J^T u is linear in u, so its derivative in the direction v is J v, whatever u is.
    u = torch.zeros_like(y, requires_grad=True)
    (back,) = torch.autograd.grad(y, x, u, create_graph=True)
    if not back.requires_grad:
        return 0.0
    v = torch.randn_like(x)
    norm = torch.zeros(len(x), dtype=torch.float64)
    for _ in range(_POWER_STEPS):
        v = v / v.flatten(1).norm(dim=1).clamp_min(1e-30).reshape(-1, 1, 1, 1)
        (forward,) = torch.autograd.grad(back, u, v, retain_graph=True)
        norm = forward.double().flatten(1).norm(dim=1)
        (v,) = torch.autograd.grad(y, x, forward, retain_graph=True)
    return float(norm.max())
