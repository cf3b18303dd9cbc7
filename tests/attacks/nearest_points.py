"""What holds of every attack that looks for the nearest misclassified points, whoever runs it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from tests.attacks.digits import trained
from torch import Tensor, nn

from onelip.attacks.pgd import margins

N = 12


def found(attack: Callable[..., Any], seed: int = 0, **options: Any) -> tuple[Tensor, Tensor]:
    """Points and distances for some digits that the network reads rightly."""
    model, x, y = trained()
    points, distances = attack(model, x[:N], y[:N], generator=torch.Generator().manual_seed(seed), **options)
    return points, distances


def check(attack: Callable[..., Any], *, norm: str = "l2", **options: Any) -> Tensor:
    """Points are in the box, misclassified and as far as is said; nothing else is changed. Returns the distances."""
    model, x, y = trained()
    x, y = x[:N].clone(), y[:N].clone()
    y[0] = (y[0] + 1) % 10  # Misclassified as it is.
    model.train()
    states = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    kinds = {"norm": norm} if norm != "l2" else {}
    with torch.no_grad():
        points, distances = attack(model, x, y, generator=torch.Generator().manual_seed(1), **kinds, **options)
    assert model.training
    model.eval()
    assert torch.equal(torch.get_rng_state(), states[0])
    assert (np.random.get_state()[1] == states[1]).all()  # noqa: NPY002
    assert distances.dtype == torch.float64
    assert distances[0] == 0
    assert torch.equal(points[0], x[0])
    assert bool((points >= 0).all() & (points <= 1).all())
    hit = distances.isfinite()
    assert float(hit[1:].float().mean()) > 0.8, "an attack that finds nothing shows nothing"
    assert bool((margins(model, points, y)[hit] < 0).all())
    order = 2 if norm == "l2" else np.inf
    exactly = np.linalg.norm((points.double() - x.double()).flatten(1).numpy(), ord=order, axis=1)
    np.testing.assert_allclose(distances[hit].numpy(), exactly[hit.numpy()], rtol=1e-12)
    assert torch.equal(points[~hit], x[~hit])
    again = attack(model, x, y, generator=torch.Generator().manual_seed(1), **kinds, **options)
    assert torch.equal(again[0], points)
    return distances[1:]


class Stubborn(nn.Module):
    """A classifier that always says 0 by the same lead."""

    def forward(self, x: Tensor) -> Tensor:
        z = torch.zeros(len(x), 4, dtype=x.dtype) + 0 * x.flatten(1).sum(1, keepdim=True)
        return z + torch.tensor([1.0, 0.0, -0.5, -1.0], dtype=x.dtype)


def check_failure(attack: Callable[..., Any], **options: Any) -> None:
    """Where nothing can be found the distance is infinite, and there is no error."""
    x = torch.rand(3, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    points, distances = attack(Stubborn(), x, torch.zeros(3, dtype=torch.int64), **options)
    assert torch.equal(points, x)
    assert distances.tolist() == [float("inf")] * 3
