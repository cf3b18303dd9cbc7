"""Every registered layer on a GPU: the same function, norm and proved bound as on the CPU."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import pytest
import torch
from tests.contract.cases import Case, all_records, core_cases
from tests.contract.measure import NORM_SLACK, matrix_of, outputs
from tests.contract.states import train
from torch import nn

if not torch.cuda.is_available():
    pytest.skip("needs a GPU that torch can use", allow_module_level=True)

_CASES = [case for record in all_records() for case in core_cases(record)]


@pytest.fixture(params=_CASES, ids=lambda case: case.name)
def case(request: pytest.FixtureRequest) -> Case:
    found: Case = request.param
    return found


class _FromCPU(nn.Module):
    """Runs a module of the GPU on inputs of the CPU, with TF32 allowed, as a user may have it."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.module(x.cuda()).cpu()
        return result


@pytest.fixture
def _tf32() -> Iterator[None]:
    # Not by monkeypatch, which undoes by deleting what an object computes: these have no attribute to delete.
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    yield
    torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before


def test_same_function(case: Case) -> None:
    layer = case.build().eval()
    x = case.input()
    moved = _FromCPU(copy.deepcopy(layer).cuda())
    expected = outputs(layer, x)
    torch.testing.assert_close(outputs(moved, x), expected, rtol=1e-5, atol=1e-5 * float(expected.abs().max() + 1))


def test_same_bound(case: Case) -> None:
    layer = case.build().eval()
    here, there = layer.lipschitz_bound(case.shape), copy.deepcopy(layer).cuda().lipschitz_bound(case.shape)
    assert there.proved
    assert there.value == pytest.approx(here.value, rel=1e-6)


@pytest.mark.usefixtures("_tf32")
def test_constraint_escapes_tf32(case: Case) -> None:
    """TF32 may round the layer's own products, but not the weights: the plain form, in float64, has norm 1."""
    layer = train(case.build().cuda(), case.input().cuda())
    if case.record.norm != "l2" or case.record.exceptions:
        return
    stored = _FromCPU(layer.eval().to_plain().double())
    if case.record.kind in ("conv1d", "conv2d", "conv_transpose2d", "linear"):
        matrix = matrix_of(stored, case.shape, torch.float64)
        if torch.isfinite(matrix).all():
            bound = layer.lipschitz_bound(case.shape)
            assert bound.proved
            assert bound.value <= 1 + NORM_SLACK[torch.float32]


@pytest.mark.usefixtures("_tf32")
def test_autocast_training_step(case: Case) -> None:
    layer = case.build().cuda()
    parameters = [p for p in layer.parameters() if p.requires_grad]
    x = case.input().cuda()
    with torch.autocast("cuda", torch.bfloat16):
        y = layer(x)
    if parameters:
        y.float().square().sum().backward()
        assert all(torch.isfinite(p.grad).all() for p in parameters if p.grad is not None)
        assert any(p.grad is not None for p in parameters)
