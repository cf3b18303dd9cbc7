"""Matrices with a prescribed spectrum, and dense operators of convolutions, both by slow independent means."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor


def with_singular_values(values: Tensor, m: int, n: int, dtype: torch.dtype = torch.float64) -> Tensor:
    left = torch.linalg.qr(torch.randn(m, len(values), dtype=torch.float64))[0]
    right = torch.linalg.qr(torch.randn(n, len(values), dtype=torch.float64))[0]
    return (left * values @ right.mT).to(dtype)


def conditioned(m: int, n: int, condition: float, dtype: torch.dtype = torch.float64) -> Tensor:
    k = min(m, n)
    values = torch.logspace(0, -float(np.log10(condition)), k, dtype=torch.float64) if k > 1 else torch.ones(1).double()
    return with_singular_values(values, m, n, dtype)


def singular_values(w: Tensor) -> np.ndarray:
    return np.linalg.svd(w.detach().double().numpy(), compute_uv=False)


def dense_convolution(
    kernel: Tensor,
    size: tuple[int, int],
    *,
    padding: tuple[int, int],
    padding_mode: str = "zeros",
    stride: tuple[int, int] = (1, 1),
    dilation: tuple[int, int] = (1, 1),
    groups: int = 1,
) -> np.ndarray:
    """Push the identity basis through torch's convolution: columns are images of basis vectors."""
    channels = kernel.shape[1] * groups
    basis = torch.eye(channels * size[0] * size[1], dtype=torch.float64).reshape(-1, channels, *size)
    pad = (padding[1], padding[1], padding[0], padding[0])
    basis = F.pad(basis, pad, mode="circular") if padding_mode == "circular" else F.pad(basis, pad)
    out = F.conv2d(basis, kernel.double(), stride=stride, dilation=dilation, groups=groups)
    return out.flatten(1).T.numpy()


def dense_norm(*args: object, **kwargs: object) -> float:
    return float(np.linalg.norm(dense_convolution(*args, **kwargs), 2))  # type: ignore[arg-type]


def orthogonal_kernel(channels: int, size: int) -> Tensor:
    """Compose 2x2 block-orthogonal factors of random projectors into a (channels, channels, size, size) kernel."""
    kernel = torch.linalg.qr(torch.randn(channels, channels, dtype=torch.float64))[0][:, :, None, None]
    eye = torch.eye(channels, dtype=torch.float64)
    for _ in range(size - 1):
        p, q = (_projector(channels) for _ in range(2))
        rows = [torch.stack([p @ q, p @ (eye - q)], -1), torch.stack([(eye - p) @ q, (eye - p) @ (eye - q)], -1)]
        factor = torch.stack(rows, -2)
        composed = torch.zeros(channels, channels, kernel.shape[-2] + 1, kernel.shape[-1] + 1, dtype=torch.float64)
        for i in range(2):
            for j in range(2):
                h, w = kernel.shape[-2:]
                composed[:, :, i : i + h, j : j + w] += torch.einsum("om,mihw->oihw", factor[:, :, i, j], kernel)
        kernel = composed
    return kernel


def _projector(channels: int) -> Tensor:
    v = torch.linalg.qr(torch.randn(channels, max(1, channels // 2), dtype=torch.float64))[0]
    return v @ v.mT
