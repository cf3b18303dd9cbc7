"""A linear classifier and samples well inside the box, whose nearest misclassified points are known."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def linear(n_classes: int = 4, n: int = 40) -> tuple[nn.Linear, Tensor, Tensor]:
    """The classifier, `(n, 8)` samples and the labels that it gives them."""
    g = torch.Generator().manual_seed(1)
    model = nn.Linear(8, n_classes)
    with torch.no_grad():
        model.weight.copy_(torch.randn(n_classes, 8, generator=g))
        # Two classes tie in the middle of the box, so that samples are near to both.
        model.bias.copy_(-0.5 * model.weight.sum(1) if n_classes == 2 else torch.zeros(n_classes))
    x = 0.4 + 0.2 * torch.rand(n, 8, generator=g)
    return model, x, model(x).argmax(1)


def distances(model: nn.Linear, x: Tensor, y: Tensor) -> Tensor:
    """The l2 distance of each sample to the nearest other class: min_j (z_y - z_j) / |w_y - w_j|."""
    w, z = model.weight.detach(), model(x).detach()
    distance = (z.gather(1, y[:, None]) - z) / (w[y][:, None] - w).norm(dim=2).clamp_min(1e-12)
    return distance.scatter(1, y[:, None], torch.inf).amin(1)
