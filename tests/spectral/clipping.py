"""References and modules for the tests of clipping."""

import copy
import math

import torch
from torch import nn


def matrix(module, shape):
    """The matrix of an affine module in eval mode, in float64, column by column of the identity."""
    module = copy.deepcopy(module).double().eval()
    n = math.prod(shape)
    with torch.no_grad():
        outputs = module(torch.cat([torch.eye(n), torch.zeros(1, n)]).double().reshape(-1, *shape)).flatten(1)
    return (outputs[:-1] - outputs[-1:]).mT


def values(module, shape):
    return torch.linalg.svdvals(matrix(module, shape))


class Sum(nn.Module):
    """Two branches added."""

    def __init__(self, branch, shortcut=None):
        super().__init__()
        self.branch, self.shortcut = branch, shortcut or nn.Identity()

    def forward(self, x):
        return self.shortcut(x) + self.branch(x)


class Concatenated(nn.Module):
    """Two branches beside each other."""

    def __init__(self, first, second):
        super().__init__()
        self.first, self.second = first, second

    def forward(self, x):
        return torch.cat([self.first(x), self.second(x)], dim=1)


def batch_norm(channels):
    module = nn.BatchNorm2d(channels)
    with torch.no_grad():
        module.running_mean.normal_()
        module.running_var.uniform_(0.3, 2.0)
        module.weight.uniform_(-2.0, 2.0)
        module.bias.normal_()
    return module


def bottleneck(channels, inner, out):
    return nn.Sequential(
        nn.Conv2d(channels, inner, 1, bias=False),
        batch_norm(inner),
        nn.Conv2d(inner, inner, 3, padding=1),
        batch_norm(inner),
        nn.Conv2d(inner, out, 1),
        batch_norm(out),
    )


def enlarged(module, factor):
    with torch.no_grad():
        for child in module.modules():
            if hasattr(child, "weight") and not isinstance(child, nn.BatchNorm2d):
                child.weight.mul_(factor)
    return module
