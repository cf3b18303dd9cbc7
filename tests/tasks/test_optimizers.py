"""Optimisers by name: every option reaches the optimiser."""

import inspect

import pytest
import torch
from torch import nn

from onelip import layers
from onelip.optim import Lookahead, ManifoldAdam, Muon
from onelip.tasks import OPTIMIZERS, is_schedule_free, lookahead, make_optimizer

OTHER = {
    "lr": 0.5, "weight_decay": 0.25, "betas": (0.5, 0.75), "momentum": 0.5, "nesterov": True, "warmup_steps": 7,
    "eps": 1e-7, "momentum_decay": 0.125, "retraction": "exponential", "every": 3, "tolerance": 0.25,
    "period": 2, "precision": "float64", "steps": 4, "adam_lr": 0.5,
}  # fmt: skip
# Options whose values differ from optimiser to optimiser.
OWN = {("aggmo", "betas"): (0.0, 0.5), ("manifold-adam", "momentum"): "muon"}
# The rate of a group without matrices is in place of `lr`.
RATES = {"muon": {"adam_lr": "lr"}}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_option_has_its_effect(name):
    options = {key: OWN.get((name, key), OTHER[key]) for key in inspect.signature(OPTIMIZERS[name]).parameters}
    (group,) = OPTIMIZERS[name](**options)([nn.Parameter(torch.ones(2))]).param_groups
    assert {key: group[RATES.get(name, {}).get(key, key)] for key in options} == options


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


def model_with_matrices():
    return nn.Sequential(*(layers.linear("bjorck", 3, 3) for _ in range(3)))


@pytest.mark.parametrize(("name", "kind", "n"), [("manifold-adam", ManifoldAdam, 3), ("muon", Muon, 1)])
def test_some_see_the_modules_and_every_option_reaches_them(name, kind, n):
    options = {key: OWN.get((name, key), OTHER[key]) for key in inspect.signature(OPTIMIZERS[name]).parameters}
    optimizer = make_optimizer(OPTIMIZERS[name](**{**options, "lr": 0.75}), model_with_matrices())
    assert isinstance(optimizer, kind)
    matrices, others = optimizer.param_groups
    assert len(matrices["shapes"]) == len(matrices["params"]) == n
    assert len(others["params"]) == 6 - n
    assert {key: matrices[key] for key in options if key not in ("lr", "adam_lr")} == {
        key: value for key, value in options.items() if key not in ("lr", "adam_lr")
    }
    assert (matrices["lr"], others["lr"]) == (0.75, 0.5 if name == "muon" else 0.75)


def test_others_take_all_parameters():
    model = model_with_matrices()
    (group,) = make_optimizer(OPTIMIZERS["adam"](), model).param_groups
    assert len(group["params"]) == 6
    assert not model[0].on_manifold


def test_lookahead_wraps_any_factory():
    model = model_with_matrices()
    optimizer = make_optimizer(lookahead(OPTIMIZERS["manifold-adam"](), k=4, alpha=0.25), model)
    assert isinstance(optimizer, Lookahead)
    assert isinstance(optimizer.inner, ManifoldAdam)
    assert (optimizer.k, optimizer.alpha) == (4, 0.25)
    assert model[0].on_manifold
    assert isinstance(lookahead(OPTIMIZERS["nadam"]())(model.parameters()).inner, torch.optim.NAdam)
