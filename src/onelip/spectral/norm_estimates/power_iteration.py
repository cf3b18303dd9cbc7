"""Lower bounds of norms by power iteration on the map itself."""

from __future__ import annotations

import torch
from torch import Tensor

from onelip.spectral.affine_map import AffineMap
from onelip.spectral.norm_estimates.problem import Problem, zeros
from onelip.spectral.norm_estimates.registry import register_norm


@register_norm("ryu", kind="lower", steps=100, paper="Ryu et al. 2019, arXiv:1905.05406; Farnia et al. 2019")
def ryu(problem: Problem, steps: int) -> Tensor:
    """Power iteration on the layer as it is: a lower bound, for any affine layer with any padding and stride.

    x <- A^T A x / ||A^T A x||, and in the end ||A x|| / ||x||, of which x is taken as constant. As published, the
    padding is 1 zero whatever the layer has; here the layer itself is applied.

    Args:
        problem: A convolution of images of one size, or any affine map.
        steps: How often A and its adjoint are applied.

    Returns:
        The bound.

    Raises:
        ValueError: The size is not known.
    """
    shape = problem.known_shape("ryu")
    like = zeros(problem, 1, shape)
    operator = AffineMap(problem.function, shape, dtype=like.dtype, device=like.device)
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(1, operator.n_inputs, generator=generator, dtype=torch.float64).to(like)
    for _ in range(steps):
        x = x / x.norm().clamp_min(torch.finfo(x.dtype).tiny)
        x = operator.adjoint(operator.apply(x))
    if not x.any():
        return x.new_zeros(())
    inputs = (x / x.norm()).reshape(1, *shape)
    return (problem.function(inputs) - problem.function(torch.zeros_like(inputs))).norm()


@register_norm("power-dense", kind="lower", steps=100, paper="von Mises and Pollaczek-Geiringer 1929")
def power_dense(problem: Problem, steps: int) -> Tensor:
    """Power iteration with a matrix: a lower bound.

    Args:
        problem: A matrix.
        steps: How often it and its transpose are applied.

    Returns:
        ||W x|| / ||x||, of which x is taken as constant.

    Raises:
        NotApplicableError: It is not a matrix.
    """
    problem.dense("power-dense")
    return ryu(problem, steps)
