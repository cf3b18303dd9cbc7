"""What the tests of single architectures measure: constants, certificates, learning, state."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from tests.bounds.dense import ROUNDING, jacobian
from torch import nn

from onelip import lipschitz_bound, models
from onelip.certify import certify, verify

Shape = tuple[int, int, int]


def count(name: str, shape: Shape, n_classes: int, **options: Any) -> int:
    """Number of parameters, without a single number drawn."""
    with torch.device("meta"):
        model = models.build(name, input_shape=shape, n_classes=n_classes, **options)
    return sum(p.numel() for p in model.parameters())


def trained(name: str, shape: Shape, n_classes: int = 4, **options: Any) -> nn.Module:
    """A network after a few steps that must lower the loss; in eval mode."""
    torch.manual_seed(0)
    model = models.build(name, input_shape=shape, n_classes=n_classes, **options)
    x, labels = torch.rand(8, *shape), torch.arange(8) % n_classes
    optimizer = torch.optim.Adam(model.parameters(), 0.02)
    losses = []
    for _ in range(6):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(8 * model(x), labels)
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert min(losses[-2:]) < losses[0] - 0.02, losses
    return model.eval()


def assert_certified(model: nn.Module, shape: Shape, folder: Path, looseness: float) -> None:
    """A certificate is written, has radii, and is verified from its file; its constants are true and not far off.

    Jacobians in float64 are below the proved constant, those of pairs below the pairs'.
    """
    x = torch.rand(2, *shape)
    with torch.no_grad():
        labels = model(x).argmax(1)
    certificate, bound = certify(model, x, labels), lipschitz_bound(model, shape)
    assert certificate.proved
    assert bound.proved
    assert (certificate.radii > 0).all()
    outcome = verify(certificate.save(folder))
    assert outcome.ok, str(outcome)
    ratios = []
    for point in x:
        rows = jacobian(model, point)
        assert float(torch.linalg.matrix_norm(rows, 2)) <= bound.value * (1 + ROUNDING)
        distances = torch.cdist(rows[None], rows[None])[0]
        ratios += [
            float(distances[i, j] / certificate.pair_constants[i][j]) for i in range(len(rows)) for j in range(i)
        ]
    assert 1 / looseness <= max(ratios) <= 1 + ROUNDING


def assert_round_trip(model: nn.Module, name: str, shape: Shape, n_classes: int = 4, **options: Any) -> None:
    """The state loads strictly into another network, which then is the same."""
    other = models.build(name, input_shape=shape, n_classes=n_classes, **options)
    other.load_state_dict(model.state_dict(), strict=True)
    x = torch.rand(2, *shape)
    with torch.no_grad():
        assert torch.equal(other.eval()(x), model(x))
