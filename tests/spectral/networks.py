"""Networks that the tests of this package take apart."""

import torch
from torch import nn
from torch.nn import functional as F


class Block(nn.Module):
    """The basic residual block, as published for CIFAR."""

    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.shortcut = nn.Sequential()
        if stride != 1 or inputs != outputs:
            conv = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
            self.shortcut = nn.Sequential(conv, nn.BatchNorm2d(outputs))

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(y + self.shortcut(x))


def resnet18(width=64):
    """Twenty convolutions and a head; `width` channels at first."""
    blocks, channels = [], width
    for outputs, stride in ((width, 1), (2 * width, 2), (4 * width, 2), (8 * width, 2)):
        blocks += [Block(channels, outputs, stride), Block(outputs, outputs, 1)]
        channels = outputs
    stem = nn.Conv2d(3, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU()
    return nn.Sequential(*stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8 * width, 10))


def randomise_(model):
    """Give every batch normalisation statistics and weights that are not those of a fresh one."""
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            with torch.no_grad():
                for parameter in module.parameters():
                    parameter.normal_()
                module.running_mean.normal_()
                module.running_var.uniform_(0.2, 3)
    return model


class Untraceable(nn.Module):
    """What it runs depends on the values, which torch.fx cannot follow."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 4, 3)
        self.bn = nn.BatchNorm2d(4)
        self.fallback = nn.Conv2d(4, 4, 1)
        self.head = nn.Linear(4, 3)

    def forward(self, x):
        y = self.bn(self.conv(x))
        if y.isnan().any():
            y = self.fallback(y)
        return self.head(y.mean((2, 3)))
