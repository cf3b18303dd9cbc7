"""Slow and independent measurements of what a module really does: dense matrices, Jacobians, counted operations.

Nothing here calls the library: a layer is only ever run as a function.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

NORM_SLACK = {torch.float32: 1e-5, torch.float64: 1e-10}
"""How far above 1 the true norm may lie (design contract)."""

ISOMETRY_SLACK = 1e-4
"""How far below 1 the smallest singular value of an orthogonal layer may lie (design contract)."""

MEASUREMENT_ERROR = 1e-12
"""Relative error of the largest singular value of a float64 matrix of a few hundred rows: n eps < 1e-13, times 10."""

SAME_FUNCTION = {torch.float32: 1e-6, torch.float64: 1e-12}
"""How far two evaluations of one function may lie apart, relative to the largest output."""


def outputs(module: nn.Module, x: Tensor) -> Tensor:
    """Run a module without recording gradients."""
    with torch.no_grad():
        result: Tensor = module(x)
    return result


def matrix_of(module: nn.Module, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    """The matrix of an affine map, in float64, one column for each input entry."""
    size = torch.Size(shape).numel()
    zero_and_basis = torch.cat([torch.zeros(1, size, dtype=dtype), torch.eye(size, dtype=dtype)]).reshape(-1, *shape)
    y = outputs(module, zero_and_basis).double().flatten(1)
    return (y[1:] - y[:1]).T


def is_affine(module: nn.Module, shape: tuple[int, ...], dtype: torch.dtype) -> bool:
    """Does f(x) + f(y) = f(x + y) + f(0) hold on random points of two lengths?"""
    generator = torch.Generator().manual_seed(5)
    # So many samples that a kinked function of two entries shows its kinks, at least eight.
    samples = 8 + 128 // torch.Size(shape).numel()
    x, y = torch.randn(2, samples, *shape, generator=generator, dtype=dtype)
    y = 10 * y
    fx, fy, both, zero = outputs(module, torch.cat([x, y, x + y, torch.zeros_like(x)])).chunk(4)
    gap = (fx + fy - both - zero).abs().max()
    return bool(gap <= 200 * torch.finfo(dtype).eps * both.abs().max().clamp_min(1.0))


def jacobians(module: nn.Module, points: Tensor) -> Tensor:
    """The Jacobian at each of a batch of inputs, in float64, by one backward pass through copies of them."""
    rows = outputs(module, points[:1]).numel()
    copies = points.repeat_interleave(rows, 0).requires_grad_()
    every_row = torch.eye(rows, dtype=torch.bool).repeat(len(points), 1)
    total = module(copies).flatten(1)[every_row].sum()
    (gradient,) = torch.autograd.grad(total, copies)
    return gradient.double().reshape(len(points), rows, -1)


def probe_points(shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    """Inputs at which a piecewise function is likely to misbehave: generic, large, tied, zero."""
    generator = torch.Generator().manual_seed(7)
    generic = torch.randn(2, *shape, generator=generator, dtype=dtype)
    tied = torch.randint(-1, 2, (1, *shape), generator=generator).to(dtype)
    constant = torch.stack([torch.zeros(shape, dtype=dtype), torch.ones(shape, dtype=dtype)])
    return torch.cat([generic[:1], 30 * generic[1:], tied, constant])


@dataclass(frozen=True)
class Gains:
    """The extreme factors by which a map stretches, over every input probed.

    Attributes:
        largest: The largest singular value, and for maps that are not affine also the largest stretch of a pair. In
            l_inf, the largest sum of absolute values of a row.
        smallest: The smallest singular value on the smaller side of the matrix.
    """

    largest: float
    smallest: float


def _extreme_singular_values(matrix: Tensor) -> tuple[float, float]:
    assert torch.isfinite(matrix).all(), "the map has NaN or inf entries in its matrix"
    # Eigenvalues of the smaller Gram matrix: the largest is as accurate as by SVD, the smallest to 1e-8.
    gram = matrix @ matrix.T if matrix.shape[0] <= matrix.shape[1] else matrix.T @ matrix
    eigenvalues = torch.linalg.eigvalsh(gram).clamp_min(0).sqrt()
    return float(eigenvalues[-1]), float(eigenvalues[0])


def gains(module: nn.Module, shape: tuple[int, ...], dtype: torch.dtype, norm: str = "l2") -> Gains:
    """Measure how much a map stretches: by its dense matrix if it is affine, by Jacobians and pairs if not."""
    if norm == "linf":
        return Gains(_largest_row_sum(module, shape, dtype), 0.0)
    if is_affine(module, shape, dtype):
        return Gains(*_extreme_singular_values(matrix_of(module, shape, dtype)))
    extremes = [_extreme_singular_values(matrix) for matrix in jacobians(module, probe_points(shape, dtype))]
    stretch = _stretch_of_pairs(module, shape, dtype)
    return Gains(max(stretch, *(high for high, _ in extremes)), min(low for _, low in extremes))


def _largest_row_sum(module: nn.Module, shape: tuple[int, ...], dtype: torch.dtype) -> float:
    affine = is_affine(module, shape, dtype)
    matrices = matrix_of(module, shape, dtype) if affine else jacobians(module, probe_points(shape, dtype))
    assert torch.isfinite(matrices).all(), "the map has NaN or inf entries in its matrix"
    return float(matrices.abs().sum(-1).max())


def _stretch_of_pairs(module: nn.Module, shape: tuple[int, ...], dtype: torch.dtype) -> float:
    generator = torch.Generator().manual_seed(11)
    x, steps = torch.randn(2, 24, *shape, generator=generator, dtype=dtype)
    distances = torch.tensor([1e-2, 1.0, 50.0], dtype=dtype).repeat(8)
    y = x + distances.reshape(-1, *[1] * len(shape)) * steps
    fx, fy = outputs(module, torch.cat([x, y])).double().flatten(1).chunk(2)
    # Rounding of the two outputs is not stretch, so it is taken off before the quotient.
    moved = (fy - fx).norm(dim=1) - 8 * torch.finfo(dtype).eps * fy.norm(dim=1)
    return float((moved / (y - x).double().flatten(1).norm(dim=1)).max())


class OperationLog(TorchDispatchMode):
    """Counts the tensor operations run inside the block, and those that compute in bfloat16."""

    def __init__(self) -> None:
        super().__init__()
        self.operations: Counter[str] = Counter()
        self.in_bfloat16: Counter[str] = Counter()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        result = func(*args, **(kwargs or {}))
        name = str(func.overloadpacket)
        self.operations[name] += 1
        if isinstance(result, Tensor) and result.dtype == torch.bfloat16:
            self.in_bfloat16[name] += 1
        return result


def operations(run: Callable[[], object]) -> OperationLog:
    """Count the tensor operations of a call."""
    log = OperationLog()
    with log:
        run()
    return log
