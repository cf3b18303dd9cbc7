"""Eval: deterministic to the bit, the weight built once, never a stale one."""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from tests.contract.cases import Case
from tests.contract.measure import operations, outputs
from tests.contract.promise import WITH_WEIGHT, promise
from tests.contract.states import perturb_, train, trained
from torch import nn

EXTRA_OPERATIONS = 2
"""Operations that a layer may run in eval beyond its plain form: explicit padding, for one."""


def _assert_same_as_fresh(case: Case, layer: nn.Module, after: str) -> None:
    # `copy.deepcopy` would copy a cache too, so the reference is built anew.
    dtype = next(layer.parameters()).dtype
    fresh = case.build(seed=77).to(dtype).eval()
    fresh.load_state_dict(layer.state_dict())
    x = case.input().to(dtype)
    assert torch.equal(outputs(layer, x), outputs(fresh, x)), f"eval serves a stale weight after {after}"


def _step_in_eval(case: Case, layer: nn.Module) -> nn.Module:
    optimizer = torch.optim.SGD([p for p in layer.parameters() if p.requires_grad] or [torch.zeros(1)], 1.0)
    y = layer(case.input())
    if y.requires_grad:
        (y**2).sum().backward()
    optimizer.step()
    return layer


def _train_step_eval(case: Case, layer: nn.Module) -> nn.Module:
    return train(layer, case.input(), steps=1).eval()


def _load(case: Case, layer: nn.Module) -> nn.Module:
    layer.load_state_dict(perturb_(case.build(seed=5)).state_dict())
    return layer


def _load_assigned(case: Case, layer: nn.Module) -> nn.Module:
    layer.load_state_dict(perturb_(case.build(seed=6)).state_dict(), assign=True)
    return layer


def _edit_in_place(case: Case, layer: nn.Module) -> nn.Module:
    return perturb_(layer)


def _replace_parameters(case: Case, layer: nn.Module) -> nn.Module:
    for name, parameter in list(layer.named_parameters()):
        owner = layer.get_submodule(name.rpartition(".")[0])
        setattr(owner, name.rpartition(".")[2], nn.Parameter(parameter.detach() + 0.1))
    return layer


def _widen(case: Case, layer: nn.Module) -> nn.Module:
    return layer.double()


def _widen_and_back(case: Case, layer: nn.Module) -> nn.Module:
    return layer.double().float()


def _call_functionally(case: Case, layer: nn.Module) -> nn.Module:
    other = perturb_(case.build(seed=8))
    with torch.no_grad():
        torch.func.functional_call(layer, dict(other.named_parameters()), (case.input(),))
    return layer


def _in_inference_mode(case: Case, layer: nn.Module) -> nn.Module:
    with torch.inference_mode():
        layer(case.input())
    return perturb_(layer)


def _edit_the_weight_returned(case: Case, layer: nn.Module) -> nn.Module:
    weight = getattr(layer, "weight", None)
    if weight is not None and not isinstance(weight, nn.Parameter):
        with torch.no_grad():
            layer.weight.mul_(3)
    return layer


EVENTS: dict[str, Callable[[Case, nn.Module], nn.Module]] = {
    "an optimiser step in eval": _step_in_eval,
    "a training step and back to eval": _train_step_eval,
    "load_state_dict": _load,
    "load_state_dict(assign=True)": _load_assigned,
    "an edit in place under no_grad": _edit_in_place,
    "replaced parameters": _replace_parameters,
    "a move to float64": _widen,
    "a move to float64 and back": _widen_and_back,
    "functional_call": _call_functionally,
    "inference mode and an edit": _in_inference_mode,
    "an edit of the weight that it returned": _edit_the_weight_returned,
}


@promise(kinds=WITH_WEIGHT)
def check_never_stale(case: Case) -> None:
    """After each event that changes weights, eval gives what a fresh layer with the same state gives, to the bit."""
    for name, event in EVENTS.items():
        layer = case.build().eval()
        outputs(layer, case.input())
        _assert_same_as_fresh(case, event(case, layer), name)


@promise(kinds=WITH_WEIGHT, float32="first")
def check_never_stale_over_dtype_round_trips(case: Case) -> None:
    """Storage that the allocator hands out again is not mistaken for the old one."""
    layer = perturb_(case.wide().build()).eval()
    for _ in range(30):
        outputs(layer, case.wide().input())
        _assert_same_as_fresh(case.wide(), layer.float().double(), "a round trip through float32")


@promise()
def check_eval_is_deterministic(case: Case) -> None:
    """Equal to the bit over calls, generator states, and a fresh layer with the same state."""
    layer = trained(case).eval()
    x = case.input()
    torch.manual_seed(1)
    first = outputs(layer, x)
    generator = torch.get_rng_state()
    for seed in (2, 3):
        torch.manual_seed(seed)
        assert torch.equal(first, outputs(layer, x)), "two eval passes differ"
    torch.manual_seed(1)
    outputs(layer, x)
    assert torch.equal(generator, torch.get_rng_state()), "eval consumes random numbers"
    fresh = case.build(seed=55).eval()
    fresh.load_state_dict(layer.state_dict())
    assert torch.equal(first, outputs(fresh, x)), "eval depends on more than the state"
    layer(x.clone().requires_grad_())
    assert torch.equal(first, layer(x).detach()), "eval with gradients differs from eval without"


@promise()
def check_eval_leaves_state_alone(case: Case) -> None:
    """Evaluation changes no parameter and no buffer."""
    layer = trained(case).eval()
    before = copy.deepcopy(layer.state_dict())
    for _ in range(2):
        outputs(layer, case.input())
        layer(case.input())
    after = layer.state_dict()
    assert before.keys() == after.keys(), "eval changes the keys of the state"
    changed = [k for k in before if not torch.equal(before[k], after[k])]
    assert not changed, f"eval changes {changed}"


@promise(kinds=WITH_WEIGHT)
def check_weight_is_built_once_in_eval(case: Case) -> None:
    """From the second pass on, eval runs the operations of the plain form and no more."""
    layer = trained(case).eval()
    plain = layer.to_plain()
    x = case.input()
    with torch.no_grad():
        layer(x)
        cost = sum(operations(lambda: layer(x)).operations.values())
        least = sum(operations(lambda: plain(x)).operations.values())
    assert cost <= least + EXTRA_OPERATIONS, f"a cached eval pass runs {cost} operations, its plain form {least}"
    with torch.inference_mode():
        layer(x)
        cost = sum(operations(lambda: layer(x)).operations.values())
    assert cost <= least + EXTRA_OPERATIONS, f"an eval pass in inference mode runs {cost} operations, not {least}"


@promise(kinds=WITH_WEIGHT)
def check_train_is_never_cached(case: Case) -> None:
    """In train mode an edit of any parameter has its effect at once."""
    layer = case.build()
    x = case.input()
    layer(x)
    for name, parameter in layer.named_parameters():
        with torch.no_grad():
            parameter.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(4)))
        fresh = case.build(seed=66)
        fresh.load_state_dict(layer.state_dict())
        same = torch.equal(outputs(layer, x), outputs(fresh, x))
        assert same, f"train mode serves a stale weight after editing {name}"
