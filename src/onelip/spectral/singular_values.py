"""The largest singular values of an affine map, with their vectors."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from onelip.spectral.affine_map import AffineMap, Function


@dataclass(frozen=True, eq=False)
class SingularValues:
    """The largest singular values of a linear map A, with their vectors: A v = sigma u.

    They are an estimate from below, not a proof.

    Attributes:
        values: `(k,)` float64, falling.
        left: `(k, *output_shape)`, orthonormal.
        right: `(k, *input_shape)`, orthonormal.
        residuals: `(k,)` float64, ||A^T u - sigma v||: as far as this from sigma there is a singular value.
        converged: Were all within the tolerance before the steps ran out?
        n_iter: How often A and its adjoint were applied to a block.
    """

    values: Tensor
    left: Tensor
    right: Tensor
    residuals: Tensor
    converged: bool
    n_iter: int


def singular_values(
    function: nn.Module | Function | AffineMap,
    input_shape: tuple[int, ...] | None = None,
    k: int = 1,
    tol: float = 1e-4,
    *,
    max_iter: int = 200,
    start: Tensor | None = None,
    seed: int = 0,
) -> SingularValues:
    """Find the k largest singular values of an affine map, and their vectors.

    Args:
        function: A module or function of batches, see `AffineMap`.
        input_shape: Shape of one input; None if `function` is an `AffineMap`.
        k: How many; at most the lesser of the numbers of inputs and outputs.
        tol: Relative error of the values, with respect to the largest one.
        max_iter: How often A and its adjoint are applied to a block, at most.
        start: `(j, *input_shape)`, directions to start from, such as the right vectors of an earlier call.
        seed: Of the random directions.

    Returns:
        Values and vectors.
    """
    operator = function if isinstance(function, AffineMap) else AffineMap(function, input_shape or ())
    generator = torch.Generator().manual_seed(seed)
    n = operator.n_inputs
    block = min(k + 4, n)
    fresh = torch.randn(block, n, generator=generator, dtype=torch.float64).to(operator.device, operator.dtype)
    if start is not None:
        fresh = torch.cat([start.reshape(-1, n).to(fresh), fresh])[: max(block, len(start))]
    basis = torch.linalg.qr(fresh.mT)[0].mT
    images = operator.apply(basis)
    for step in range(1, max_iter + 1):
        q, r = torch.linalg.qr(images.mT)
        u, s, vh = torch.linalg.svd(r)
        left, right = (q @ u[:, :block]).mT, vh[:block] @ basis
        gradients = operator.adjoint(left)
        residuals = gradients - s[:block, None] * right
        norms = residuals.norm(dim=1)
        done = bool((norms[:k] <= tol * s[0]).all()) or len(basis) >= n
        if done or step == max_iter:
            break
        if len(basis) + block > 20 * block:
            basis, images = vh[: 3 * block] @ basis, vh[: 3 * block] @ images
        new = residuals[norms > 0]
        for _ in range(2):
            new = new - (new @ basis.mT) @ basis
            new = torch.linalg.qr(new.mT)[0].mT
        new = new[: n - len(basis)]
        basis, images = torch.cat([basis, new]), torch.cat([images, operator.apply(new)])
    return SingularValues(
        s[:k].double(),
        left[:k].reshape(k, *operator.output_shape),
        right[:k].reshape(k, *operator.input_shape),
        norms[:k].double(),
        done,
        step,
    )
