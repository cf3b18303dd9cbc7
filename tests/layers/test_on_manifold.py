"""Switched layers keep the promises of the contract, and compute nothing but the composition in training."""

import copy
import functools

import pytest
import tests.contract.promises  # noqa: F401  (fills the table)
import torch
from tests.contract.cases import all_records, core_cases
from tests.contract.promise import PROMISES
from torch import nn

from onelip import layers
from onelip.layers import on_manifold_
from onelip.layers.explicit_weight import ExplicitWeight
from onelip.layers.orthogonal_block import is_trusted, trust

KINDS = ("linear", "conv1d", "conv2d", "conv_transpose2d")
PROMISED = (
    "norm_over_states", "plain_form_is_the_same_function", "retraction_keeps_the_function", "deepcopy", "pickle",
    "functional_call", "never_stale", "eval_is_deterministic", "state_loads_strictly", "state_loads_after_use",
    "bound_covers_norm", "bound_follows_weights", "weight_is_built_once_in_eval", "every_parameter_learns",
    "gradients_are_finite", "assigned_weight_of_the_set_is_kept",
)  # fmt: skip


def switchable():
    records = [r for r in all_records() if r.kind in KINDS]
    return [r for r in records if on_manifold_(core_cases(r, torch.float32)[0].build())]


RECORDS = switchable()


class Switched:
    """A case whose layers are switched as they are built."""

    def __init__(self, case):
        self._case = case

    def __getattr__(self, name):
        return getattr(self._case, name)

    def build(self, seed=0, **changes):
        layer = self._case.build(seed, **changes)
        on_manifold_(layer)
        return layer


def test_these_methods_are_switched():
    names = {(r.kind, r.name) for r in RECORDS}
    dense = ("bjorck", "cholesky", "newton-schulz", "polar-express", "qr", "aoc")
    convs = [("conv2d", n) for n in ("aoc", "bcop", "rko", "lipnext")]
    assert {*(("linear", n) for n in dense), *convs, ("conv1d", "aoc"), ("conv_transpose2d", "rko")} <= names
    assert not names & {("linear", "cayley"), ("conv2d", "aol"), ("conv2d", "cpl")}


# One for each way of composing a weight.
EACH_KIND = [("linear", "bjorck"), ("conv1d", "aoc"), ("conv2d", "rko"), ("conv2d", "lipnext"), ("conv2d", "bcop")]
EXAMPLES = [r for r in RECORDS if (r.kind, r.name) in EACH_KIND]


@pytest.mark.parametrize("record", EXAMPLES, ids=lambda r: f"{r.kind}-{r.name}")
def test_contract_holds_for_switched_layers(record):
    case = Switched(core_cases(record, torch.float32)[0])
    for name in PROMISED:
        torch.manual_seed(0)
        PROMISES[name].check(case)


@pytest.mark.parametrize("record", RECORDS, ids=lambda r: f"{r.kind}-{r.name}")
def test_training_only_composes_orthogonal_raw_parameters(record, monkeypatch):
    case = core_cases(record, torch.float32)[0]
    plain, switched = case.build(), Switched(case).build()
    expected = plain(case.input())
    holders = [m for m in switched.modules() if isinstance(m, ExplicitWeight) and m.on_manifold]
    with monkeypatch.context() as patch:
        for layer in holders:
            patch.setattr(layer, "constrain", None)
        torch.testing.assert_close(switched(case.input()), expected, atol=1e-5, rtol=1e-5)
    assert list(switched.state_dict()) == list(plain.state_dict())
    # Anyone's change brings the constraint back: on doubled raw weights nothing changes.
    with torch.no_grad():
        for layer in holders:
            for block in layer.orthogonal_blocks():
                block.parameter.mul_(2.0)
    torch.testing.assert_close(switched(case.input()), expected, atol=1e-5, rtol=1e-5)


def test_eval_polishes_what_drifted():
    layer = layers.linear("bjorck", 6, 6)
    (block,) = on_manifold_(layer)
    with torch.no_grad():
        block.parameter.mul_(1.01)
    trust(block.parameter)
    assert torch.linalg.svdvals(layer.weight.detach())[0] == pytest.approx(1.01)
    assert layer.eval().lipschitz_bound().value <= 1 + 1e-6
    assert torch.linalg.matrix_norm(layer.to_plain().weight.detach().double(), 2) <= 1 + 1e-6


def test_retraction_is_spared_and_declares():
    layer = layers.linear("polar-express", 5, 5)
    (block,) = on_manifold_(layer)
    version = block.parameter._version
    layer.retract_()
    assert block.parameter._version == version
    with torch.no_grad():
        block.parameter.mul_(1.5)
    assert not is_trusted(block.parameter)
    layer.retract_()
    assert is_trusted(block.parameter)


def test_iterations_stopped_early_are_not_declared_orthogonal():
    layer = layers.linear("bjorck", 6, 6, max_steps=1)
    (block,) = on_manifold_(layer)
    with torch.no_grad():
        block.parameter.copy_(torch.diag(torch.logspace(0, -2, 6)))
    layer.retract_()
    assert not is_trusted(block.parameter)


def test_shared_and_frozen_parameters():
    shared = layers.linear("bjorck", 4, 4)
    frozen = layers.conv2d("bcop", 4, 4, 3, padding=1, frozen=True)
    model = nn.Sequential(shared, shared, frozen, nn.Linear(4, 4))
    assert [b.parameter for b in on_manifold_(model)] == [shared.raw_weight]
    assert frozen.on_manifold
    assert copy.deepcopy(model)[0].on_manifold
    assert functools.reduce(lambda x, m: m(x), [shared, shared], torch.randn(2, 4)).shape == (2, 4)
