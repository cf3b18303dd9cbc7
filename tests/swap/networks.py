"""Ordinary networks of many shapes, with weights that look trained."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn


def chain():
    """A plain chain of nested sequences; everything in it can be constrained."""
    body = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 12, 4, stride=2, padding=1), nn.ReLU())
    head = nn.Sequential(nn.Flatten(), nn.Linear(12 * 16, 16), nn.ReLU(), nn.Dropout(0.2), nn.Linear(16, 4))
    return nn.Sequential(nn.Sequential(body), nn.MaxPool2d(1), head)


class Block(nn.Module):
    """A residual block as in ResNet, with one ReLU used twice."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.down = nn.Conv2d(inputs, outputs, 1, stride, bias=False) if stride > 1 else nn.Identity()

    def forward(self, x):
        y = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        return self.relu(y + self.down(x))


class ResNet(nn.Module):
    """A small ResNet with a forward method of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, padding=1)
        self.pool = nn.MaxPool2d(3, 2, 1)
        self.blocks = nn.Sequential(Block(4, 4, 1), Block(4, 8, 2))
        self.average = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(8, 5)

    def forward(self, x):
        x = self.blocks(self.pool(F.relu(self.stem(x))))
        return self.head(torch.flatten(self.average(x), 1))


class Recurrent(nn.Module):
    """One convolution applied three times, under two names, beside a list that torch does not see."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 3, padding=1)
        self.same = self.conv
        self.act = nn.SiLU()
        self.unseen = [self.conv]

    def forward(self, x):
        for conv in (self.conv, self.same, self.unseen[0]):
            x = self.act(conv(x))
        return x


class Autoencoder(nn.Module):
    """Down and up again."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.Conv2d(2, 8, 2, stride=2)
        self.up = nn.ConvTranspose2d(8, 2, 2, stride=2)

    def forward(self, x):
        return self.up(F.gelu(self.down(x)))


def orthogonalised_(model: nn.Module) -> nn.Module:
    """Make every dense weight and 1x1 kernel orthogonal in place, as a method would have trained it."""
    for module in model.modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            nn.init.orthogonal_(module.weight)
    return model
