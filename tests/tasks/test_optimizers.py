"""Optimisers by name: every option reaches the optimiser."""

import inspect

import pytest
import torch
from torch import nn

from onelip.tasks import OPTIMIZERS, is_schedule_free

OTHER = {
    "lr": 0.5, "weight_decay": 0.25, "betas": (0.5, 0.75), "momentum": 0.5, "nesterov": True, "warmup_steps": 7,
    "eps": 1e-7,
}  # fmt: skip


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_option_has_its_effect(name):
    options = {key: OTHER[key] for key in inspect.signature(OPTIMIZERS[name]).parameters}
    (group,) = OPTIMIZERS[name](**options)([nn.Parameter(torch.ones(2))]).param_groups
    assert {key: group[key] for key in options} == options


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_defaults_lower_a_quadratic(name):
    weight = nn.Parameter(torch.ones(3))
    optimizer = OPTIMIZERS[name]()([weight])
    if is_schedule_free(optimizer):
        optimizer.train()
    for _ in range(20):
        optimizer.zero_grad()
        weight.square().sum().backward()
        optimizer.step()
    assert float(weight.detach().square().sum()) < 3.0


def test_only_the_schedule_free_one_has_two_modes():
    free = [name for name, make in OPTIMIZERS.items() if is_schedule_free(make()([nn.Parameter(torch.ones(1))]))]
    assert free == ["schedule-free-adamw"]


def test_the_decay_of_adam_goes_through_its_running_means():
    """With a gradient of zero, coupled decay steps by the full rate whatever its size; decoupled decay does not."""
    for name, step in (("adam", 0.1), ("adamw", 0.1 * 0.01)):
        weight = nn.Parameter(torch.ones(1))
        weight.grad = torch.zeros(1)
        OPTIMIZERS[name](lr=0.1, weight_decay=0.01)([weight]).step()
        assert 1.0 - weight.item() == pytest.approx(step, rel=1e-4)
