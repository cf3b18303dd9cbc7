"""The steps that are timed do what they say; nothing here depends on how long they take."""

import time

import torch

from onelip import layers
from onelip.experiments.bench import steps
from onelip.experiments.bench.steps import Times, evaluation, timed_in_turn, training_step


def test_a_training_step_moves_the_weights_and_gives_the_input_a_gradient():
    torch.manual_seed(0)
    layer, x = layers.BjorckLinear(4, 4), torch.randn(3, 4, requires_grad=True)
    before = layer.raw_weight.detach().clone()
    training_step(layer.eval(), x)()
    assert layer.training
    assert x.grad is not None
    assert not torch.equal(layer.raw_weight, before)
    # Retracted onto the set.
    gram = layer.raw_weight.detach().T @ layer.raw_weight.detach()
    assert torch.allclose(gram, torch.eye(4), atol=1e-3)


def test_an_evaluation_builds_the_weight_once(monkeypatch):
    layer = layers.BjorckLinear(4, 4)
    built = []
    original = layers.BjorckLinear.constrain
    monkeypatch.setattr(layers.BjorckLinear, "constrain", lambda *a: built.append(1) or original(*a))
    run = evaluation(layer, torch.randn(3, 4))
    run()
    run()
    assert not layer.training
    assert len(built) == 1


def test_both_are_run_in_turn_after_warming_up(monkeypatch):
    calls = []
    clock = iter(range(1000))
    monkeypatch.setattr(time, "perf_counter", lambda: next(clock))
    times = timed_in_turn(lambda: calls.append("own"), lambda: calls.append("plain"), 3, torch.device("cpu"))
    assert calls == ["own", "plain"] * steps._WARM_UP + ["plain", "own"] * 3
    assert times == Times(1, 1)
    assert Times(6.0, 2.0).ratio == 3
