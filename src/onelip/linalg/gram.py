"""Gram matrices of real matrices, at half the cost of a product."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def gram(x: Tensor) -> Tensor:
    """Multiply X^T X.

    NumPy sees that both factors are one matrix and computes half of the symmetric result; torch does not.

    Args:
        x: (..., m, n), float64 on the CPU.

    Returns:
        (..., n, n); every entry is a sum of m products, in some order.
    """
    y = x.detach().numpy()
    return torch.from_numpy(np.matmul(y.swapaxes(-1, -2), y))


def adjoint_product(x: Tensor, y: Tensor) -> Tensor:
    """Multiply X^T Y by NumPy's threads, which those of torch would wait beside.

    Args:
        x: (..., m, n), float64 on the CPU.
        y: (..., m, k).

    Returns:
        (..., n, k); every entry is a sum of m products, in some order.
    """
    return torch.from_numpy(np.matmul(x.detach().numpy().swapaxes(-1, -2), y.detach().numpy()))
