"""The norms of convolutions in a fixed number of steps, without waiting for a device on the way."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor
from torch.nn.modules.conv import _ConvNd

from onelip.linalg.precision import full_precision

_TINY = 1e-30


def quick_norms(
    convs: Sequence[_ConvNd], input_shape: tuple[int, ...], starts: Sequence[Tensor | None], n_steps: int
) -> list[tuple[float, Tensor]]:
    """Estimate norms of convolutions from below by Golub-Kahan-Lanczos from one vector each, all side by side.

    Nothing is decided on the way, so on a GPU all steps are queued at once, where `singular_values` waits for each;
    in return nothing is known about the error. Both bases are orthogonalised in full.

    Args:
        convs: Convolutions or transposed ones, alike but for their weights, without hooks; biases are left out.
        input_shape: Shape of one input, without the batch, of each.
        starts: For each a vector to start from, `(1, *input_shape)`, to which noise is added; None for noise alone.
        n_steps: How often the map and its adjoint are applied.

    Returns:
        For each the largest singular value found, and its right vector, `(1, *input_shape)`.

    Paper: Golub and Kahan 1965.
    """
    with torch.inference_mode(False), full_precision():
        beside, weight = _side_by_side(convs)
        count, size = len(convs), torch.Size(input_shape).numel()
        with torch.enable_grad():
            shape = (1, count * input_shape[0], *input_shape[1:])
            x = torch.zeros(shape, dtype=weight.dtype, device=weight.device, requires_grad=True)
            y = beside.forward(x)
        n_steps = min(n_steps, size, y.numel() // count)
        rights, adjoints = (weight.new_empty(count, n_steps, size) for _ in range(2))
        lefts = weight.new_empty(count, n_steps, y.numel() // count)
        v = _first(starts, weight, size)
        for step in range(n_steps):
            rights[:, step : step + 1] = right = _fresh(v, rights[:, :step])
            with torch.no_grad():
                image = beside.forward(right.reshape(shape)).view(count, 1, -1)
            lefts[:, step : step + 1] = left = _fresh(image, lefts[:, :step])
            (v,) = torch.autograd.grad(y, x, left.reshape(y.shape), retain_graph=True)
            adjoints[:, step : step + 1] = v = v.view(count, 1, -1)
        # |U^T A|, at least |U^T A V| and as surely from below.
        squares, vectors = torch.linalg.eigh((adjoints.double() @ adjoints.double().mT).cpu())
        values = squares[:, -1].clamp(min=0.0).sqrt()
        tops = vectors[:, :, -1:].mT.to(v) @ adjoints / values.clamp(min=_TINY).to(v).view(-1, 1, 1)
        tops = torch.where((values > 0).to(v.device).view(-1, 1, 1), tops, rights[:, :1])
        return list(zip(values.tolist(), tops.view(count, 1, *input_shape), strict=True))


# One convolution whose groups are the given ones, and its weight.
def _side_by_side(convs: Sequence[_ConvNd]) -> tuple[_ConvNd, Tensor]:
    like = convs[0].weight
    dtype = like.dtype if like.dtype == torch.float64 else torch.float32
    weight = torch.cat([conv.weight.detach().to(dtype) for conv in convs])
    beside = copy.copy(convs[0])
    beside._parameters = {"weight": cast(torch.nn.Parameter, weight), "bias": None}
    beside.groups = len(convs) * convs[0].groups
    beside.in_channels, beside.out_channels = len(convs) * beside.in_channels, len(convs) * beside.out_channels
    return beside, weight


def _first(starts: Sequence[Tensor | None], like: Tensor, size: int) -> Tensor:
    noise = (torch.randn(1, size, generator=torch.Generator().manual_seed(0)) / size**0.5).to(like)
    return torch.stack([noise if start is None else noise + start.reshape(1, -1).to(like) for start in starts])


# Normalised, and orthogonal to the rows of a basis; zero stays zero.
def _fresh(row: Tensor, basis: Tensor) -> Tensor:
    for _ in range(2 if basis.shape[1] else 0):
        row = torch.baddbmm(row, row @ basis.mT, basis, alpha=-1)
    return row / (torch.linalg.vector_norm(row, dim=2, keepdim=True) + _TINY)
