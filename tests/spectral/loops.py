"""A small network and a plain loop, in which the training methods are tried."""

import io

import torch
from torch import nn

INPUT_SHAPE = (1, 8, 8)
SHAPES = {"0": (1, 8, 8), "3": (6, 4, 4), "6": (96,)}
"""Input shape of each convolution and dense layer of `small_net`."""


def small_net(seed=0):
    """Make a net of two convolutions, a batch normalisation and a dense layer, with norms above 1."""
    generator = torch.Generator().manual_seed(seed)
    net = nn.Sequential(
        nn.Conv2d(1, 6, 3, stride=2, padding=1, padding_mode="circular"),
        nn.BatchNorm2d(6),
        nn.ReLU(),
        nn.Conv2d(6, 6, 3, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(96, 4),
    )
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.5)
        net[1].weight.abs_().add_(1)
    return net


def train(net, method, steps, first=0, lr=0.05):
    """Train by gradient descent; yields what each `step` of the method returns."""
    for step in range(first, first + steps):
        generator = torch.Generator().manual_seed(step)
        x = torch.randn(16, *INPUT_SHAPE, generator=generator)
        y = torch.randint(4, (16,), generator=generator)
        net.zero_grad()
        loss = nn.functional.cross_entropy(net(x), y)
        penalty = method.penalty()
        (loss if penalty is None else loss + penalty).backward()
        with torch.no_grad():
            for parameter in net.parameters():
                parameter -= lr * parameter.grad
        yield method.step()


def resumes(make, steps=3):
    """Is a training interrupted after `steps` and loaded from a file the same as one that went on?"""
    net = small_net()
    method = make(net)
    list(train(net, method, steps))
    file = io.BytesIO()
    torch.save((net.state_dict(), method.state_dict()), file)
    list(train(net, method, steps, first=steps))
    file.seek(0)
    weights, state = torch.load(file, weights_only=True)
    other = small_net(seed=1)
    resumed = make(other)
    other.load_state_dict(weights)
    resumed.load_state_dict(state)
    list(train(other, resumed, steps, first=steps))
    ours, theirs = net.state_dict(), other.state_dict()
    return ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)
