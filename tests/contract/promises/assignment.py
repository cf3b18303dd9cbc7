"""`layer.weight = w` projects a pretrained weight onto the set, as closely as the method allows."""

from __future__ import annotations

import torch
from tests.contract.cases import Case
from tests.contract.measure import outputs
from tests.contract.promise import WITH_WEIGHT, promise
from tests.contract.states import perturb_
from torch import Tensor, nn

RETURNED = 1e-4
"""Largest entry by which a weight of the set may come back changed: right inverse and orthogonalisation in float32."""


def _takes_weights(layer: nn.Module) -> bool:
    return hasattr(layer, "right_inverse")


def _generic(like: Tensor, seed: int = 17) -> Tensor:
    return 0.3 * torch.randn(like.shape, generator=torch.Generator().manual_seed(seed), dtype=like.dtype)


@promise(kinds=WITH_WEIGHT)
def check_assigned_weight_of_the_set_is_kept(case: Case) -> None:
    """The weight of another layer of the same method comes back."""
    layer = case.build()
    if not _takes_weights(layer):
        return
    target = perturb_(case.build(seed=12)).eval().weight.detach().clone()
    layer.weight = target
    for training in (True, False):
        gap = float((layer.train(training).weight.detach() - target).abs().max())
        assert gap <= RETURNED, f"a weight of the set comes back with an entry {gap:.2e} away"


@promise(kinds=WITH_WEIGHT)
def check_assigned_weight_is_projected(case: Case) -> None:
    """A generic weight lands on the set, not farther from it than where the layer was, and again at the same place."""
    layer = case.build()
    if not _takes_weights(layer):
        return
    layer.eval()
    target = _generic(layer.weight)
    before = float((layer.weight.detach() - target).norm())
    layer.weight = target
    first = layer.weight.detach().clone()
    assert torch.isfinite(first).all(), "an assigned weight becomes NaN or inf"
    assert float((first - target).norm()) <= before * (1 + 1e-6), "assignment moves away from the weight assigned"
    layer.weight = first
    assert float((layer.weight.detach() - first).abs().max()) <= RETURNED, "assigning twice is not assigning once"


@promise(kinds=WITH_WEIGHT)
def check_assignment_registers_nothing(case: Case) -> None:
    """Assignment edits the raw parameters in place: keys, objects and dtype stay, the bias is untouched."""
    layer = case.build()
    if not _takes_weights(layer):
        return
    kept = {n: id(p) for n, p in layer.named_parameters()}
    bias = None if layer.bias is None else layer.bias.detach().clone()
    outputs(layer.eval(), case.input())
    for value in (_generic(layer.weight), nn.Parameter(_generic(layer.weight)), _generic(layer.weight).double()):
        layer.weight = value
        assert {n: id(p) for n, p in layer.named_parameters()} == kept, "assignment replaces or adds a parameter"
        assert layer.weight.dtype == case.dtype, "assignment changes the dtype"
    assert bias is None or torch.equal(bias, layer.bias), "assignment changes the bias"


@promise(kinds=WITH_WEIGHT, float32="first")
def check_assignment_refuses_other_shapes(case: Case) -> None:
    """A wrong shape or type is one sentence with the class, the shape given and the shape wanted."""
    layer = case.build()
    if not _takes_weights(layer):
        return
    for value in (torch.zeros(2, 3, 7), [1.0]):
        try:
            layer.weight = value
        except ValueError as error:
            text = str(error)
            assert type(layer).__name__ in text, f"the refusal does not name the class: {text}"
            assert str(tuple(layer.weight.shape)) in text, f"the refusal does not give the shape wanted: {text}"
            assert "weight=" in text, f"the refusal does not give the value: {text}"
        else:
            raise AssertionError(f"a weight {type(value).__name__} of a wrong shape is accepted")
