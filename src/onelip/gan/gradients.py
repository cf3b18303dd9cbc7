"""Gradients of a critic with respect to its input: their penalty, and how long they are."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def interpolates(real: Tensor, generated: Tensor, generator: torch.Generator) -> Tensor:
    """Draw one point, uniformly, on the segment between each real image and the generated one beside it.

    Args:
        real: `(B, ...)`.
        generated: `(B, ...)`.
        generator: Source of the B positions, each of its own image, in [0, 1).

    Returns:
        `(B, ...)`, without gradient.

    Raises:
        ValueError: The shapes differ.
    """
    if real.shape != generated.shape:
        raise ValueError(
            f"real of shape {tuple(real.shape)} and generated of shape {tuple(generated.shape)} in interpolates must "
            f"have the same"
        )
    place = torch.rand(len(real), generator=generator, device=generator.device).to(real)
    place = place.view(-1, *[1] * (real.dim() - 1))
    return torch.lerp(real.detach(), generated.detach(), place)


def input_gradient_norms(critic: nn.Module, x: Tensor, *, create_graph: bool = False) -> Tensor:
    """Measure the l2 norm of a critic's gradient at some points.

    A measurement at points is a lower estimate of the Lipschitz constant, whose proved upper bound
    `onelip.lipschitz_bound` gives.

    Args:
        critic: Maps `(B, ...)` to `(B,)` or `(B, 1)`; no sample may depend on another, as batch normalisation makes
            them.
        x: `(B, ...)`.
        create_graph: Make the norms differentiable with respect to the critic's parameters.

    Returns:
        `(B,)`, output per unit of the input.
    """
    points = x.detach().requires_grad_()
    with torch.enable_grad():
        total = critic(points).sum()
        (gradient,) = torch.autograd.grad(total, points, create_graph=create_graph)
    return torch.linalg.vector_norm(gradient.flatten(1), dim=1)


def gradient_penalty(critic: nn.Module, x: Tensor) -> Tensor:
    """Penalise gradients of a norm other than 1: the mean of (|grad f(x)| - 1)^2, the penalty of WGAN-GP.

    Args:
        critic: Maps `(B, ...)` to `(B,)` or `(B, 1)`, without batch normalisation.
        x: `(B, ...)`, `interpolates` in the paper.

    Returns:
        A scalar, differentiable with respect to the critic's parameters.

    Paper:
        Gulrajani, Ahmed, Arjovsky, Dumoulin and Courville 2017, arXiv:1704.00028, equation 3.
    """
    return (input_gradient_norms(critic, x, create_graph=True) - 1).square().mean()
