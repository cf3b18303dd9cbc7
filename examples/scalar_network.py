"""What the examples share: a 1-Lipschitz function of the plane, its gradients, and radii that are proved."""

from __future__ import annotations

import itertools

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

import onelip
from onelip import layers

GROUP = 8
"""Features that are sorted together. With MaxMin, which sorts two, errors of distances are twice as large."""


def scalar_network(layer: str = "bjorck", widths: tuple[int, ...] = (64, 64, 64, 64), inputs: int = 2) -> nn.Sequential:
    """Build a dense network with one output.

    Args:
        layer: Method of the dense layers, see `onelip list layers`.
        widths: Features of the hidden layers, multiples of 8.
        inputs: Features of the input.

    Returns:
        The network, which maps (N, inputs) to (N, 1).
    """
    parts: list[nn.Module] = []
    for n_in, n_out in itertools.pairwise((inputs, *widths)):
        parts += [layers.linear(layer, n_in, n_out), layers.GroupSort(GROUP)]
    return nn.Sequential(*parts, layers.linear(layer, widths[-1], 1))


def value_and_gradient(model: nn.Module, points: Tensor, *, again: bool = False) -> tuple[Tensor, Tensor]:
    """Evaluate a scalar network and its gradient with respect to the points.

    Args:
        model: Maps (N, D) to (N, 1).
        points: (N, D).
        again: Shall what is computed from the gradient be differentiable, with respect to the weights, too?

    Returns:
        (N,) values and (N, D) gradients.
    """
    x = points.detach().requires_grad_()
    values = model(x)[:, 0]
    (gradient,) = torch.autograd.grad(values.sum(), x, create_graph=again)
    return values, gradient


def certified_radii(model: nn.Module, points: Tensor, inside: Tensor) -> npt.NDArray[np.float64]:
    """Prove within which distance of each point f keeps the sign that it should have there.

    The two logits f/2 and -f/2 differ by f, whose constant is that of the network: the radius is |f| / constant.

    Args:
        model: f, which maps (N, D) to (N, 1).
        points: (N, D).
        inside: (N,) bool: should f be positive?

    Returns:
        (N,) radii, rounded down; 0 where the sign is wrong.
    """
    pair = nn.Linear(1, 2, bias=False)
    with torch.no_grad():
        pair.weight.copy_(torch.tensor([[-0.5], [0.5]]))
    certificate = onelip.certify(nn.Sequential(model, pair), points, inside.long(), search_steps=0)
    return certificate.radii
