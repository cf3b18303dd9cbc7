"""State: none created in forward, the same keys always, strict loading, a seeded start."""

from __future__ import annotations

import random

import numpy as np
import torch
from tests.contract.cases import Case
from tests.contract.measure import matrix_of, outputs
from tests.contract.promise import promise
from tests.contract.states import clone_by_state, train, trained
from torch import Tensor, nn


def _attributes(layer: nn.Module) -> set[str]:
    names: set[str] = set()
    for path, module in layer.named_modules():
        own = set(vars(module)) | set(module._parameters) | set(module._buffers) | set(module._modules)
        names |= {f"{path}.{name}" for name in own}
    return names


def _signature(layer: nn.Module) -> dict[str, tuple[torch.Size, torch.dtype, bool]]:
    parameters = {n: (p.shape, p.dtype, p.requires_grad) for n, p in layer.named_parameters()}
    return parameters | {n: (b.shape, b.dtype, False) for n, b in layer.named_buffers()}


@promise()
def check_no_state_is_created_in_forward(case: Case) -> None:
    """Keys, shapes and attributes are those of the fresh layer after training, backward, eval and a bound."""
    layer = case.build()
    keys, attributes, signature = list(layer.state_dict()), _attributes(layer), _signature(layer)
    identities = {n: id(p) for n, p in layer.named_parameters()}
    for phase in ("a training step", "eval", "eval without gradient", "train mode"):
        if phase == "a training step":
            train(layer, case.input(), steps=1)
        elif phase == "eval":
            layer.eval()(case.input())
        elif phase == "eval without gradient":
            outputs(layer, case.input())
            layer.lipschitz_bound(case.shape)
        else:
            layer.train()(case.input())
        assert list(layer.state_dict()) == keys, f"{phase} changes the keys of the state"
        assert _attributes(layer) == attributes, f"{phase} creates or drops {_attributes(layer) ^ attributes}"
        assert _signature(layer) == signature, f"{phase} changes shapes, dtypes or requires_grad"
        assert {n: id(p) for n, p in layer.named_parameters()} == identities, f"{phase} replaces a parameter"


@promise()
def check_state_loads_strictly(case: Case) -> None:
    """A trained state loads strictly into a fresh layer, which then gives the same numbers to the bit."""
    layer = trained(case)
    for training in (False, True):
        layer.train(training)
        loaded = clone_by_state(case, layer).train(training)
        x = case.input()
        mode = "train" if training else "eval"
        assert torch.equal(outputs(layer, x), outputs(loaded, x)), f"a loaded layer differs in {mode} mode"


@promise()
def check_state_loads_after_use(case: Case) -> None:
    """Loading a second time, into a layer that has run in both modes, is as good as into a fresh one."""
    source, layer = trained(case).eval(), case.build(seed=21)
    train(layer, case.input(seed=9), steps=1)
    outputs(layer.eval(), case.input())
    for _ in range(2):
        layer.load_state_dict(source.state_dict(), strict=True)
        same = torch.equal(outputs(source, case.input()), outputs(layer, case.input()))
        assert same, "a layer that was in use loads differently"


@promise()
def check_initialisation_is_seeded(case: Case) -> None:
    """Torch's generator alone decides the start: not numpy's, not Python's."""
    first = case.build(seed=3).state_dict()
    random.seed(123)
    np.random.seed(123)  # noqa: NPY002  (the global generator is what must not matter)
    second = case.build(seed=3).state_dict()
    for key, value in first.items():
        assert torch.equal(value, second[key]), f"{key} is not reproduced by the same seed"
    weights = [key for key in first if not key.endswith("bias")]
    if case.record.kind.startswith(("conv", "linear")):
        other = case.build(seed=4).state_dict()
        # The identity, perhaps shifted, is the one start that needs no seed.
        seeded = any(not torch.equal(first[k], other[k]) for k in weights)
        assert seeded or _is_identity(case.build(), case), "the seed does not matter"


def _is_identity(layer: nn.Module, case: Case) -> bool:
    weight = getattr(layer, "weight", None)
    if weight is None:
        matrix = matrix_of(layer, case.shape, case.dtype)
        return bool((matrix - torch.eye(len(matrix), dtype=torch.float64)).abs().max() < 1e-6)
    if not isinstance(weight, Tensor) or weight.dim() not in (3, 4):
        return False
    taps = weight.detach().flatten(2).sum(2).double()
    groups = weight.shape[0] // weight.shape[1]
    identity = torch.eye(weight.shape[1], dtype=torch.float64).repeat(groups, 1)
    return torch.equal(taps, identity) and int((weight != 0).sum()) == len(identity)


@promise()
def check_forward_consumes_no_random_numbers(case: Case) -> None:
    """A training pass leaves torch's generator alone, so that resuming a run reproduces it."""
    layer = case.build()
    generator = torch.get_rng_state()
    layer(case.input())
    assert torch.equal(generator, torch.get_rng_state()), "a training pass consumes random numbers"


@promise()
def check_samples_are_independent(case: Case) -> None:
    """The output for one sample does not depend on the others in the batch."""
    layer = trained(case)
    for training in case.modes_for_one:
        layer.train(training)
        x = case.input(batch=4)
        together, alone = outputs(layer, x), torch.cat([outputs(layer, row[None]) for row in x])
        gap = float((together - alone).abs().max())
        scale = max(1.0, float(together.abs().max()))
        assert gap <= 1e-5 * scale, f"samples of a batch influence each other: {gap:.2e}"
