"""Peaks are counted exactly, in bytes."""

import gc

import torch
from torch import nn

from onelip.experiments.bench.memory import peak_bytes

CPU = torch.device("cpu")
KB = 4000
"""Bytes of a thousand float32 numbers."""


def test_tensors_count_as_long_as_they_live():
    held = torch.zeros(1000)

    def run():
        a = held + 1
        b = a + 1
        del a
        c = b + 1
        view = c.view(10, 100)
        del c
        _ = view * 2

    # What is held, b, c behind its view, and the result.
    assert peak_bytes(run, [held], CPU) == 4 * KB


def test_views_and_in_place_operations_take_nothing():
    held = torch.zeros(1000)

    def run():
        held.add_(1)
        held.view(10, 100).t().mul_(2)

    assert peak_bytes(run, [held, held.view(-1)], CPU) == KB


def test_backward_passes_are_counted():
    layer, x = nn.Linear(1000, 1, bias=False), torch.zeros(1, 1000, requires_grad=True)
    gc.collect()

    def run():
        layer(x).sum().backward()

    peak = peak_bytes(run, [layer.weight, x], CPU)
    # The weight, the input, and the gradient of each.
    assert 4 * KB <= peak <= 4 * KB + 100


def test_the_same_again_is_the_same():
    x = torch.zeros(1000)
    runs = [peak_bytes(lambda: (x + 1).exp_().sum() and None, [x], CPU) for _ in range(3)]
    assert len(set(runs)) == 1
