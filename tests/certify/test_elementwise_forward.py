"""Computed values against mpmath, at points where cancellation, underflow and huge arguments tell."""

import math

import mpmath
import pytest
import torch

from onelip.certify.elementwise_forward import ELEMENTWISE, SOFTMAX, Slope, jump
from onelip.certify.records import Node

POINTS = [
    0.0, 1e-300, -1e-300, 1e-9, -1e-9, 0.3, -0.3, 1.0, -1.0, 2.9999999, -2.9999999, -3.0000001, 3.0000001, 5.5, -5.5,
    8.3, -8.3, 19.0, -19.0, 36.0, -36.0, 37.5, -37.5, 300.0, -300.0, 800.0, -800.0, 1e8, -1e8, 1e120, -1e120,
]  # fmt: skip
MP = mpmath


def sigmoid(v):
    return 1 / (1 + MP.exp(-v))


def log1p_exp(v):
    return max(v, 0) + MP.log1p(MP.exp(-abs(v)))


def elu(v):
    return MP.mpf(1.1) * (v if v > 0 else MP.mpf(1.7) * MP.expm1(v / MP.mpf(0.3)))


def clip(v, low, high):
    return min(max(v, low), high)


EXACT = {
    "sigmoid": ({}, sigmoid),
    "tanh": ({}, MP.tanh),
    "silu": ({}, lambda v: v * sigmoid(v)),
    "mish": ({}, lambda v: v * MP.tanh(log1p_exp(v))),
    "softplus": ({"beta": 3.0, "threshold": 60.0}, lambda v: log1p_exp(3 * v) / 3),
    "softsign": ({}, lambda v: v / (1 + abs(v))),
    "log_sigmoid": ({}, lambda v: -log1p_exp(-v)),
    "gelu": ({}, lambda v: v * MP.erfc(-v / MP.sqrt(2)) / 2),
    "gelu_tanh": (
        {},
        lambda v: v * sigmoid(2 * MP.sqrt(2 / MP.pi) * (v + MP.mpf("0.044715") * v**3)) if abs(v) < 1e6 else max(v, 0),
    ),
    "elu": ({"alpha": 1.7, "width": 0.3, "scale": 1.1}, elu),
    "hard_sigmoid": ({}, lambda v: clip(v + 3, 0, 6) / 6),
    "hard_swish": ({}, lambda v: v * clip(v + 3, 0, 6) / 6),
    "soft_shrink": ({"amount": 0.3}, lambda v: v - clip(v, -MP.mpf(0.3), MP.mpf(0.3))),
    "tanh_shrink": ({}, lambda v: v - MP.tanh(v)),
    "clip": ({"low": -0.5, "high": None}, lambda v: max(v, MP.mpf(-0.5))),
    "sin": ({}, MP.sin),
    "cos": ({}, MP.cos),
    "atan": ({}, MP.atan),
}  # fmt: skip


def test_every_function_has_a_reference():
    assert set(EXACT) == set(ELEMENTWISE)


@pytest.mark.parametrize("op", EXACT)
def test_errors_against_high_precision(op):
    attributes, exact = EXACT[op]
    # One sample for each point, so that each is held to its own bound.
    x = torch.tensor(POINTS, dtype=torch.float64)[:, None]
    y, error = ELEMENTWISE[op](Node("n", op, ("input",), attributes), [x])
    with MP.workdps(400):
        off = [abs(MP.mpf(a) - exact(MP.mpf(v))) for v, a in zip(POINTS, y[:, 0].tolist(), strict=True)]
        assert all(o <= MP.mpf(e) + MP.mpf(2) ** -1000 for o, e in zip(off, error.tolist(), strict=True))
    assert bool((error <= 1e-14 * (x.abs() + y.abs() + 1)[:, 0]).all())


@pytest.mark.parametrize("op", ["softmax", "log_softmax"])
@pytest.mark.parametrize("size", [1.0, 30.0, 1e4])
def test_softmax_against_high_precision(op, size):
    x = size * torch.randn(5, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    y, error = SOFTMAX[op](Node("n", op, ("input",), {"axis": 0}), [x])
    with MP.workdps(60):
        for row, values, bound in zip(x.tolist(), y.tolist(), error.tolist(), strict=True):
            top = max(row)
            total = MP.log(sum(MP.exp(MP.mpf(v) - top) for v in row)) + top
            logarithms = [MP.mpf(v) - total for v in row]
            exact = logarithms if op == "log_softmax" else [MP.exp(v) for v in logarithms]
            off = MP.sqrt(sum((MP.mpf(a) - b) ** 2 for a, b in zip(values, exact, strict=True)))
            assert off <= bound


def test_softplus_counts_the_jump_of_torch():
    attributes = {"beta": 0.5, "threshold": 20.0}
    x = torch.tensor([[40.0000001]], dtype=torch.float64)
    y, error = ELEMENTWISE["softplus"](Node("n", "softplus", ("input",), attributes), [x])
    theirs = torch.nn.functional.softplus(x, 0.5, 20.0)
    assert 4e-9 < abs(float(y - theirs)) <= float(error)
    assert math.isclose(jump(attributes), 2 * math.exp(-20), rel_tol=1e-8)


def test_slopes_add_up():
    x, y = torch.full((1, 4), 3.0, dtype=torch.float64), torch.full((1, 4), 5.0, dtype=torch.float64)
    assert float(Slope(1, 2, 1e-9).error(x, y)) == pytest.approx(2e-9 + (6 + 20) * 2.0**-53, rel=1e-6)
