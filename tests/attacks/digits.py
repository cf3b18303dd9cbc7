"""A plain network trained on digits, for attacks to break."""

from __future__ import annotations

import functools

import torch
from torch import Tensor, nn

from onelip.data import load


@functools.cache
def trained() -> tuple[nn.Module, Tensor, Tensor]:
    """A dense network that reads digits, and a hundred test images with the labels it gets right."""
    data = load("digits")
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
    x, y = data.train.pixels()[:700], data.train.labels[:700]
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    for _ in range(80):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()
    model.eval().requires_grad_(False)
    images, labels = data.test.pixels(), data.test.labels
    right = model(images).argmax(1) == labels
    return model, images[right][:100], labels[right][:100]


def accuracy(model: nn.Module, x: Tensor, y: Tensor) -> float:
    """Share of right answers."""
    with torch.no_grad():
        return float((model(x).argmax(1) == y).float().mean())
