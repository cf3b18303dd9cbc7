"""Copies, moves, and construction elsewhere: pickle, deepcopy, meta device, dtype and device arguments."""

from __future__ import annotations

import copy

import torch
from tests.contract.cases import Case
from tests.contract.measure import SAME_FUNCTION, outputs
from tests.contract.promise import WITH_WEIGHT, promise
from tests.contract.states import clone_by_pickle, perturb_, trained
from torch import nn


def _assert_independent(case: Case, layer: nn.Module, clone: nn.Module, how: str) -> None:
    x = case.input()
    before = outputs(layer, x)
    assert torch.equal(before, outputs(clone, x)), f"the {how} gives other numbers"
    if list(clone.parameters()):
        perturb_(clone)
        assert torch.equal(before, outputs(layer, x)), f"editing the {how} changes the original"
        assert not torch.equal(before, outputs(clone, x)), f"the {how} does not see an edit of its own parameters"


@promise()
def check_deepcopy(case: Case) -> None:
    """Also after a training forward, when some implementations hold tensors with a graph."""
    layer = trained(case)
    layer(case.input())
    _assert_independent(case, layer, copy.deepcopy(layer), "deepcopy in train mode")
    layer.eval()
    layer(case.input())
    outputs(layer, case.input())
    _assert_independent(case, layer, copy.deepcopy(layer), "deepcopy in eval mode")


@promise()
def check_pickle(case: Case) -> None:
    """Before and after use, in both modes."""
    layer = case.build()
    _assert_independent(case, layer, clone_by_pickle(layer), "pickle of a fresh layer")
    layer = trained(case)
    layer(case.input())
    _assert_independent(case, layer, clone_by_pickle(layer), "pickle in train mode")
    layer.eval()
    outputs(layer, case.input())
    _assert_independent(case, layer, clone_by_pickle(layer), "pickle in eval mode")


@promise(kinds=WITH_WEIGHT)
def check_meta_device(case: Case) -> None:
    """Construction without memory, by argument and by context, then materialised and loaded."""
    with torch.device("meta"):
        by_context = case.build()
    by_argument = case.build(device="meta")
    source = trained(case)
    for layer, how in ((by_context, "under torch.device('meta')"), (by_argument, "with device='meta'")):
        real = [n for n, t in [*layer.named_parameters(), *layer.named_buffers()] if not t.is_meta]
        assert not real, f"{real} are real tensors {how}"
        y = layer(torch.empty(2, *case.shape, device="meta", dtype=case.dtype))
        assert y.is_meta, f"the output is not on the meta device {how}"
        assert y.shape == outputs(source, case.input(batch=2)).shape, f"the output has shape {tuple(y.shape)} {how}"
        layer.to_empty(device="cpu").load_state_dict(source.state_dict())
        for training in (True, False):
            expected = outputs(source.train(training), case.input())
            found = outputs(layer.train(training), case.input())
            assert torch.equal(expected, found), f"a layer built {how} and loaded gives other numbers"


@promise(kinds=WITH_WEIGHT)
def check_dtype_argument(case: Case) -> None:
    """Every parameter, the weight, the output and the plain form have the precision asked for."""
    for dtype in (torch.float32, torch.float64):
        layer = case.build(dtype=dtype)
        wrong = [n for n, p in layer.named_parameters() if p.dtype != dtype]
        assert not wrong, f"{wrong} are not {dtype}"
        x = case.input().to(dtype)
        for training in (True, False):
            assert layer.train(training)(x).dtype == dtype, f"the output is not {dtype}"
        wrong = [n for n, p in layer.to_plain().named_parameters() if p.dtype != dtype]
        assert not wrong, f"{wrong} of the plain form are not {dtype}"
    torch.set_default_dtype(torch.float64)
    try:
        layer = case.build(dtype=None)
        wrong = [n for n, p in layer.named_parameters() if p.dtype != torch.float64]
        assert not wrong, f"{wrong} ignore the default dtype"
        layer(case.input().double())
    finally:
        torch.set_default_dtype(torch.float32)


@promise()
def check_float64_is_more_exact(case: Case) -> None:
    """Moving a layer to float64 keeps its function to float32 accuracy, with no tensor left behind."""
    layer = trained(case).eval()
    y = outputs(layer, case.input())
    layer.double()
    left = [n for n, t in [*layer.named_parameters(), *layer.named_buffers()] if t.dtype == torch.float32]
    assert not left, f"{left} stay in float32"
    wide = outputs(layer, case.input().double())
    scale = max(1.0, float(wide.abs().max()))
    gap = float((wide - y.double()).abs().max()) / scale
    assert gap <= 10 * SAME_FUNCTION[torch.float32], f"float64 and float32 differ by {gap:.2e}"
