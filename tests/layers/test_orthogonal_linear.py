"""Dense layers with orthogonal weights, each against an independent computation of its projection."""

from __future__ import annotations

import pytest
import torch
from tests.layers.dense import train
from torch import Tensor

from onelip import layers
from onelip.layers.orthogonal_linear import OrthogonalLinear
from onelip.layers.projection import RETRACTED

NAMES = ("bjorck", "cholesky", "newton-schulz", "polar-express", "qr")
SHAPES = [(6, 6), (4, 9), (9, 4), (1, 5), (5, 1)]


def build(name: str, into: int, out: int, **options: object) -> OrthogonalLinear:
    layer = layers.linear(name, into, out, **options)
    assert isinstance(layer, OrthogonalLinear)
    return layer


def gram_schmidt(w: Tensor) -> Tensor:
    columns: list[Tensor] = []
    for column in (w if w.shape[0] >= w.shape[1] else w.T).T:
        for done in columns + columns:
            column = column - (done @ column) * done
        columns.append(column / column.norm())
    q = torch.stack(columns, 1)
    return q if w.shape[0] >= w.shape[1] else q.T


def polar(w: Tensor) -> Tensor:
    u, _, vh = torch.linalg.svd(w, full_matrices=False)
    return u @ vh


@pytest.mark.parametrize(("into", "out"), SHAPES)
@pytest.mark.parametrize("name", NAMES)
def test_weight_is_the_projection_of_the_raw_weight(name: str, into: int, out: int) -> None:
    layer = build(name, into, out, dtype=torch.float64)
    raw = torch.randn(out, into, dtype=torch.float64)
    with torch.no_grad():
        layer.raw_weight.copy_(raw)
    expected = gram_schmidt(raw) if name in ("cholesky", "qr") else polar(raw)
    torch.testing.assert_close(layer.weight.detach(), expected, atol=1e-10, rtol=0)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
@pytest.mark.parametrize("name", NAMES)
def test_orthogonal_from_any_conditioned_weight(name: str, scale: float) -> None:
    layer = build(name, 8, 12)
    u, v = torch.linalg.qr(torch.randn(12, 8)).Q, torch.linalg.qr(torch.randn(8, 8)).Q
    with torch.no_grad():
        layer.raw_weight.copy_(scale * u * torch.logspace(0, -3, 8) @ v)
    for training in (True, False):
        values = torch.linalg.svdvals(layer.train(training).weight.detach().double())
        assert values[-1] >= 0.9999
        assert values[0] <= 1 + 1e-5


@pytest.mark.parametrize("retract", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_orthogonal_after_300_steps(name: str, retract: bool) -> None:
    layer = build(name, 8, 8)
    before = layer.weight.detach().clone()
    assert torch.linalg.svdvals(before)[-1] >= 0.9999
    train(layer, torch.randn(16, 8), 300, 1e-2, retract=retract)
    assert (layer.weight - before).norm() > 0.5
    assert torch.linalg.svdvals(layer.weight.detach().double())[-1] >= 0.9999


@pytest.mark.parametrize(("into", "out"), SHAPES)
@pytest.mark.parametrize("name", NAMES)
def test_assigned_orthogonal_weights_come_back_and_others_are_projected(name: str, into: int, out: int) -> None:
    layer = build(name, into, out)
    wanted = polar(torch.randn(out, into))
    layer.weight = wanted
    torch.testing.assert_close(layer.weight, wanted, atol=1e-5, rtol=0)
    generic = 3 * torch.randn(out, into)
    layer.weight = generic
    torch.testing.assert_close(layer.weight, polar(generic), atol=1e-5, rtol=0)
    # Zero has no nearest orthogonal matrix; any will do.
    layer.weight = torch.zeros(out, into)
    assert torch.linalg.svdvals(layer.weight.detach())[-1] >= 0.9999


@pytest.mark.parametrize("name", NAMES)
def test_retraction_keeps_the_weight(name: str) -> None:
    layer = build(name, 6, 9)
    with torch.no_grad():
        layer.raw_weight.add_(0.2 * torch.randn_like(layer.raw_weight))
    before = layer.weight.detach().clone()
    layer.retract_()
    torch.testing.assert_close(layer.raw_weight.detach(), before, atol=RETRACTED, rtol=0)
    torch.testing.assert_close(layer.weight, before, atol=2e-6, rtol=0)


@pytest.mark.parametrize("name", NAMES)
def test_zero_weight_stays_finite(name: str) -> None:
    layer = build(name, 4, 4)
    with torch.no_grad():
        layer.raw_weight.zero_()
    layer.weight.sum().backward()
    assert layer.raw_weight.grad is not None
    assert layer.raw_weight.grad.isfinite().all()
    assert layer.lipschitz_bound().value <= 1 + 1e-5


STEPPED = [("bjorck", {"order": order}) for order in (1, 2, 3, 4)] + [("newton-schulz", {}), ("polar-express", {})]


@pytest.mark.parametrize("max_steps", [1, 2, 3, 5, 50])
@pytest.mark.parametrize(("name", "options"), STEPPED, ids=str)
def test_stopped_early_never_above_one(name: str, options: dict[str, int], max_steps: int) -> None:
    layer = build(name, 8, 8, max_steps=max_steps, dtype=torch.float64, **options)
    assert not layer.orthogonal
    u, v = torch.linalg.qr(torch.randn(2, 8, 8, dtype=torch.float64)).Q
    with torch.no_grad():
        layer.raw_weight.copy_(7 * u * torch.logspace(0, -3, 8) @ v)
    values = torch.linalg.svdvals(layer.weight.detach())
    assert values[0] <= 1 + 1e-14
    assert (values[-1] >= 0.9999) == (max_steps == 50)
    before = layer.weight.detach().clone()
    layer.retract_()
    assert torch.equal(layer.weight, before)


def test_steps_are_those_of_bjorck() -> None:
    # Order 1 on singular values: s -> 3/2 s - 1/2 s^3 (Bjorck and Bowie), after scaling by a bound of the norm.
    layer = build("bjorck", 6, 6, max_steps=3, dtype=torch.float64)
    u, v = torch.linalg.qr(torch.randn(2, 6, 6, dtype=torch.float64)).Q
    s = torch.linspace(1.0, 0.1, 6, dtype=torch.float64)
    with torch.no_grad():
        layer.raw_weight.copy_(u * s @ v)
    scale = float((s**16).sum() ** (1 / 16))
    expected = s / scale
    for _ in range(3):
        expected = 1.5 * expected - 0.5 * expected**3
    assert torch.allclose(torch.linalg.svdvals(layer.weight.detach()), expected.sort(descending=True)[0], atol=1e-9)


@pytest.mark.parametrize("name", ["bjorck", "newton-schulz", "polar-express"])
def test_no_steps_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"max_steps=0 in \w+Linear must be an integer of at least 1"):
        build(name, 4, 4, max_steps=0)


def test_layers_near_the_identity_are_not_stepped_on_the_manifold() -> None:
    assert layers.on_manifold_(build("cholesky", 4, 4, depth=3)) == []
    assert len(layers.on_manifold_(build("cholesky", 4, 4))) == 1
