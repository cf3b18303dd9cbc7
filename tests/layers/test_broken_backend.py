"""On a machine whose linear algebra is wrong, a layer's bound is that of the weights it really uses, or it refuses."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from onelip import layers as L
from onelip.certify import certify, verify
from onelip.linalg import matrix_norm_bound

RECORDS = [r for r in L.records() if r.kind in ("conv2d", "linear")]
IDS = [f"{r.kind}-{r.name}" for r in RECORDS]

LU = ("solve", "inv", "lu_factor", "solve_ex", "inv_ex")

SLACK = {torch.float64: 1e-11, torch.float32: 3e-5}
"""Rounding when the layer runs, which its bound, that of the stored numbers, does not include."""


def wrong(function, factor):
    """The function, but every floating-point answer is off by a factor and by noise of a thousandth of that."""

    def spoiled(value):
        if not isinstance(value, torch.Tensor) or not (value.is_floating_point() or value.is_complex()):
            return value
        generator = torch.Generator().manual_seed(0)
        noise = torch.randn(value.shape, generator=generator, dtype=torch.float64).to(value.dtype)
        return value * (factor + abs(factor - 1) * 1e-3 * noise)

    def broken(*args, **kwargs):
        result = function(*args, **kwargs)
        if isinstance(result, torch.Tensor):
            return spoiled(result)
        return type(result)(map(spoiled, result))

    return broken


def spoil(monkeypatch, name, factor):
    module = torch if name == "matrix_exp" else torch.linalg
    monkeypatch.setattr(module, name, wrong(getattr(module, name), factor))


def measured(record, dtype):
    """Build the layer; return the norm of its dense Jacobian at a random point, and its bound."""
    shape = (6,) if record.kind == "linear" else (4, 4, 4)
    if record.kind == "linear":
        layer = record.factory(6, 6, dtype=dtype)
    else:
        layer = record.factory(4, 4, 3, padding=1, padding_mode=record.paddings[-1], dtype=dtype)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.add_(0.1 * parameter.abs().mean() * torch.randn_like(parameter))
    layer.eval()
    bound = layer.lipschitz_bound(shape)
    jacobian = torch.autograd.functional.jacobian(layer, torch.randn(1, *shape, dtype=dtype), vectorize=True)
    matrix = jacobian.double().numpy().reshape(-1, int(np.prod(shape)))
    return float(np.linalg.svd(matrix, compute_uv=False)[0]), bound


def check(record, dtype):
    """The norm is at most the bound, or the layer says what is wrong."""
    try:
        true, bound = measured(record, dtype)
    except (ValueError, ArithmeticError, RuntimeError):
        return
    assert bound.proved
    assert true <= bound.value * (1 + SLACK[dtype]), (true, bound)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("record", RECORDS, ids=IDS)
def test_wrong_solutions_of_linear_systems(record, dtype, monkeypatch):
    for name in LU:
        spoil(monkeypatch, name, 1.3)
    check(record, dtype)


BREAKS = {
    "cholesky_ex": 0.999,
    "eigh": 1.001,
    "eigvals": 0.999,
    "eigvalsh": 0.999,
    "matrix_exp": 1.001,
    "qr": 1.001,
    "solve_triangular": 1.001,
    "svd": 1.001,
    "svdvals": 0.999,
}
"""What is broken, one at a time: estimates that come out low, weights that come out large."""


@pytest.mark.parametrize("name", BREAKS)
@pytest.mark.parametrize("record", RECORDS, ids=IDS)
def test_one_wrong_function_at_a_time(record, name, monkeypatch):
    spoil(monkeypatch, name, BREAKS[name])
    check(record, torch.float64)


def test_weights_that_come_out_wrong_are_seen(monkeypatch):
    (record,) = [r for r in RECORDS if (r.kind, r.name) == ("linear", "qr")]
    spoil(monkeypatch, "solve_triangular", 1.3)
    true, bound = measured(record, torch.float64)
    assert 1.2 < true <= bound.value <= true * (1 + 1e-6)


def test_what_the_prover_rests_on_is_caught_by_the_checker(tmp_path, monkeypatch):
    # Its proofs rest on a Cholesky factorisation that fails where it must. One that never does proves any estimate,
    # and the checker, which has its own from NumPy, refuses what was written.
    weight = torch.randn(24, 24)
    x = torch.rand(4, 24)
    model = nn.Sequential(nn.Linear(24, 24, bias=False), nn.ReLU(), nn.Linear(24, 3))
    with torch.no_grad():
        model[0].weight.copy_(weight)
    true = float(np.linalg.norm(weight.double().numpy(), 2))
    assert matrix_norm_bound(weight).value >= true
    spoil(monkeypatch, "eigvalsh", 0.5)
    assert matrix_norm_bound(weight).value >= true
    right = torch.linalg.cholesky_ex

    def lying(a, **options):
        return right(torch.eye(a.shape[-1], dtype=a.dtype).expand_as(a), **options)

    monkeypatch.setattr(torch.linalg, "cholesky_ex", lying)
    assert matrix_norm_bound(weight).value < true
    outcome = verify(certify(model, x, model(x).argmax(1)).save(tmp_path))
    assert not outcome.ok
    assert "could not be proved" in str(outcome)


def test_the_functions_are_really_spoiled(monkeypatch):
    spoil(monkeypatch, "qr", 1.3)
    q, _ = torch.linalg.qr(torch.eye(3))
    assert 1.2 < float(q.abs().max()) < 1.4
    spoil(monkeypatch, "inv", 1.3)
    assert float(torch.linalg.inv(torch.eye(2))[0, 0]) > 1.2
