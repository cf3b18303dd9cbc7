from __future__ import annotations

import copy
import pickle
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.autograd import forward_ad

from onelip.layers.cache import TensorCache


class Counted:
    """Doubles a tensor and counts how often."""

    def __init__(self, source: Tensor) -> None:
        self.source, self.calls = source, 0

    def __call__(self) -> Tensor:
        self.calls += 1
        return 2 * self.source


def _get(cache: TensorCache, source: Tensor, counted: Counted) -> Tensor:
    with torch.no_grad():
        return cache.get([source], counted)


def test_value_is_computed_once() -> None:
    cache, source = TensorCache(), nn.Parameter(torch.ones(3))
    counted = Counted(source)
    assert _get(cache, source, counted) is _get(cache, source, counted)
    assert counted.calls == 1


CHANGES: dict[str, Callable[[nn.Parameter], object]] = {
    "edited in place": lambda p: p.add_(1),
    "given other data": lambda p: setattr(p, "data", torch.full((3,), 5.0)),
    "given other data of another dtype": lambda p: setattr(p, "data", torch.full((3,), 5.0, dtype=torch.float64)),
}


@pytest.mark.parametrize("change", CHANGES)
def test_change_of_a_source_is_seen(change: str) -> None:
    cache, source = TensorCache(), nn.Parameter(torch.ones(3))
    counted = Counted(source)
    _get(cache, source, counted)
    with torch.no_grad():
        CHANGES[change](source)
    assert torch.equal(_get(cache, source, counted), 2 * source.detach())
    assert counted.calls == 2


def test_another_source_with_equal_numbers_is_another_source() -> None:
    cache, first, second = TensorCache(), torch.ones(3), torch.ones(3)
    _get(cache, first, Counted(first))
    counted = Counted(second)
    _get(cache, second, counted)
    assert counted.calls == 1


def test_addresses_handed_out_again_are_not_taken_for_unchanged() -> None:
    cache, source = TensorCache(), nn.Parameter(torch.rand(1000, dtype=torch.float64))
    for _ in range(20):
        _get(cache, source, Counted(source))
        with torch.no_grad():
            source.data = source.data.float()
            source.data = source.data.double()
            assert torch.equal(_get(cache, source, Counted(source)), 2 * source)
            source.data = torch.rand(1000, dtype=torch.float64)


def test_value_edited_by_the_caller_is_computed_anew() -> None:
    cache, source = TensorCache(), torch.ones(3)
    counted = Counted(source)
    _get(cache, source, counted).mul_(10)
    assert torch.equal(_get(cache, source, counted), torch.full((3,), 2.0))


def test_nothing_is_kept_where_gradients_are_wanted() -> None:
    cache, source = TensorCache(), nn.Parameter(torch.ones(3))
    counted = Counted(source)
    for _ in range(2):
        cache.get([source], counted).sum().backward()
    assert counted.calls == 2
    assert torch.equal(source.grad, torch.full((3,), 4.0))


class CountedCube:
    """The cube of one tensor times another, counted."""

    calls = 0

    def __call__(self, a: Tensor, b: Tensor) -> Tensor:
        self.calls += 1
        return a**3 * b


def test_differentiable_value_is_kept_and_its_gradients_are_computed_when_asked_for() -> None:
    cache, counted = TensorCache(), CountedCube()
    a, b = nn.Parameter(torch.tensor([1.0, 2.0])), torch.tensor([3.0, 4.0])
    x = torch.ones(2, requires_grad=True)
    for _ in range(3):
        (grad,) = torch.autograd.grad((cache.differentiable([a, b], counted) * x).sum(), x)
        assert torch.equal(grad, torch.tensor([3.0, 32.0]))
    with torch.no_grad():
        assert torch.equal(cache.differentiable([a, b], counted), grad)
    assert counted.calls == 1
    (cache.differentiable([a, b], counted) * x).sum().backward()
    assert counted.calls == 2
    assert torch.equal(a.grad, torch.tensor([9.0, 48.0]))
    assert b.grad is None


def test_differentiable_value_has_second_derivatives_and_sees_changes() -> None:
    cache, counted = TensorCache(), CountedCube()
    sources = [torch.rand(2, dtype=torch.float64).requires_grad_() for _ in range(2)]

    def uncached(a: Tensor, b: Tensor) -> Tensor:
        # Numerical differentiation edits through `.data`, which no cache sees.
        return TensorCache().differentiable([a, b], counted)

    assert torch.autograd.gradcheck(uncached, sources)
    assert torch.autograd.gradgradcheck(uncached, sources)
    before = cache.differentiable(sources, counted)
    with torch.no_grad():
        sources[0].add_(1)
    assert torch.equal(cache.differentiable(sources, counted), counted(*sources))
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        before.sum().backward()


def test_kept_value_has_no_graph_and_edits_of_what_is_returned_are_seen() -> None:
    cache, counted = TensorCache(), CountedCube()
    a, b = nn.Parameter(torch.ones(2)), torch.ones(2)
    with torch.no_grad():
        cache.differentiable([a, b], counted).mul_(10)
    first = cache.differentiable([a, b], counted)
    assert first.requires_grad
    assert torch.equal(first.detach(), torch.ones(2))
    with torch.no_grad():
        kept = cache.get([a, b], lambda: counted(a, b))
        assert not kept.requires_grad
        assert kept.data_ptr() == first.data_ptr()


def test_transforms_see_through_to_the_sources() -> None:
    cache, counted = TensorCache(), CountedCube()
    a, b = nn.Parameter(torch.tensor([2.0])), torch.ones(1)
    slope = torch.func.grad(lambda a: cache.differentiable([a, b], counted).sum())(a)
    assert torch.equal(slope, torch.tensor([12.0]))
    by_input = torch.func.jacrev(lambda x: cache.differentiable([a, b], counted) * x)(torch.ones(1))
    assert by_input.item() == 8.0
    with forward_ad.dual_level():
        dual = forward_ad.make_dual(a, torch.ones(1))
        assert forward_ad.unpack_dual(cache.differentiable([dual, b], counted)).tangent.item() == 12.0


def test_value_of_inference_mode_can_take_part_in_autograd() -> None:
    cache, source, x = TensorCache(), torch.ones(3), torch.ones(3, requires_grad=True)
    with torch.inference_mode():
        cache.get([source], lambda: 2 * source)
    (cache.get([source], lambda: 2 * source) * x).sum().backward()
    assert torch.equal(x.grad, torch.full((3,), 2.0))


@pytest.mark.parametrize("clone", [copy.deepcopy, lambda cache: pickle.loads(pickle.dumps(cache))])
def test_copies_start_empty(clone: Callable[[TensorCache], TensorCache]) -> None:
    cache, source = TensorCache(), torch.ones(3)
    counted = Counted(source)
    _get(cache, source, counted)
    _get(clone(cache), source, counted)
    assert counted.calls == 2


def test_cleared_cache_computes_anew() -> None:
    cache, source = TensorCache(), torch.ones(3)
    counted = Counted(source)
    _get(cache, source, counted)
    cache.clear()
    _get(cache, source, counted)
    assert counted.calls == 2


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("optimizer", [torch.optim.AdamW, torch.optim.SGD])
def test_a_step_of_an_optimiser_is_seen(optimizer: type[torch.optim.Optimizer], fused: bool) -> None:
    cache, source = TensorCache(), nn.Parameter(torch.ones(3))
    counted = Counted(source)
    stepper = optimizer([source], lr=0.1, fused=fused)
    for _ in range(3):
        source.grad = torch.ones(3)
        stepper.step()
        assert torch.equal(_get(cache, source, counted), 2 * source.detach())
    assert counted.calls == 3
