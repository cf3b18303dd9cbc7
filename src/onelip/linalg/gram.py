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
