"""The norm of an affine map in a fixed number of steps, without waiting for a device on the way."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.func import functional_call

from onelip.linalg.precision import full_precision

_TINY = 1e-30


def quick_norm(
    layer: nn.Module, input_shape: tuple[int, ...], start: Tensor | None, n_steps: int
) -> tuple[float, Tensor]:
    """Estimate the norm of a convolution or dense layer from below by Golub-Kahan-Lanczos from one vector.

    Nothing is decided on the way, so on a GPU all steps are queued at once, where `singular_values` waits for each;
    in return nothing is known about the error. Both bases are orthogonalised in full.

    Args:
        layer: One of torch's, without hooks; its bias is left out.
        input_shape: Shape of one input, without the batch.
        start: `(1, *input_shape)`, a vector to start from, to which noise is added; None for noise alone.
        n_steps: How often the map and its adjoint are applied.

    Returns:
        The largest singular value found, and its right vector, `(1, *input_shape)`.

    Paper: Golub and Kahan 1965.
    """
    like = next(layer.parameters()).detach()
    dtype = like.dtype if like.dtype == torch.float64 else torch.float32
    tensors = {name: p.detach().to(dtype) for name, p in layer.named_parameters()}
    if "bias" in tensors:
        tensors["bias"] = torch.zeros_like(tensors["bias"])
    with torch.inference_mode(False), full_precision(), torch.autocast(like.device.type, enabled=False):
        with torch.enable_grad():
            x = torch.zeros(1, *input_shape, dtype=dtype, device=like.device, requires_grad=True)
            y = functional_call(layer, tensors, (x,))
        noise = torch.randn(1, x.numel(), generator=torch.Generator().manual_seed(0)) / x.numel() ** 0.5
        v = noise.to(x) if start is None else noise.to(x) + start.reshape(1, -1).to(x)
        rights, lefts, rows = v.new_zeros(0, x.numel()), v.new_zeros(0, y.numel()), []
        for _ in range(min(n_steps, x.numel(), y.numel())):
            rights = torch.cat([rights, _fresh(v, rights)])
            with torch.no_grad():
                image = functional_call(layer, tensors, (rights[-1:].view_as(x),))
            lefts = torch.cat([lefts, _fresh(image.reshape(1, -1), lefts)])
            (v,) = torch.autograd.grad(y, x, lefts[-1:].view_as(y), retain_graph=True)
            v = v.reshape(1, -1)
            rows.append(v)
        # |U^T A|, at least |U^T A V| and as surely from below.
        adjoints = torch.cat(rows)
        squares, vectors = torch.linalg.eigh((adjoints.double() @ adjoints.double().mT).cpu())
        right = vectors[:, -1:].mT.to(v) @ adjoints
        value = float(squares[-1].clamp(min=0.0).sqrt())
        right = right / value if value > 0 else rights[:1]
        return value, right.reshape(1, *input_shape)


def _fresh(row: Tensor, basis: Tensor) -> Tensor:
    for _ in range(2):
        row = row / (row.norm() + _TINY)
        row = row - (row @ basis.mT) @ basis
    return row / (row.norm() + _TINY)
