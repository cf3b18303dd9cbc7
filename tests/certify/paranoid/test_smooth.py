import mpmath
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from flint import arb
from tests.certify.paranoid.balls import middle, step

from onelip.certify.checker.elementwise import ELEMENTWISE
from onelip.certify.checker.errors import VerificationError
from onelip.certify.paranoid.balls import exact
from onelip.certify.paranoid.smooth import SMOOTH, SMOOTH_CONSTANTS, derivative_bound

X = np.concatenate([np.linspace(-9, 9, 91), [-700.0, 700.0, 0.0]]).reshape(1, 2, 47)
T = torch.from_numpy(X)

CASES = {
    "atan": ({}, T.atan()),
    "clip": ({"low": -0.5, "high": 2.0}, T.clamp(-0.5, 2)),
    "cos": ({}, T.cos()),
    "elu": ({"alpha": -1.5, "width": 2.0, "scale": 0.5}, 0.5 * torch.where(T > 0, T, -1.5 * (T / 2).expm1())),
    "gelu": ({}, F.gelu(T)),
    "gelu_tanh": ({}, F.gelu(T, approximate="tanh")),
    "hard_sigmoid": ({}, F.hardsigmoid(T)),
    "hard_swish": ({}, F.hardswish(T)),
    "log_sigmoid": ({}, F.logsigmoid(T)),
    "log_softmax": ({"axis": 1}, T.log_softmax(2)),
    "mish": ({}, F.mish(T)),
    "sigmoid": ({}, T.sigmoid()),
    "silu": ({}, F.silu(T)),
    "sin": ({}, T.sin()),
    "soft_shrink": ({"amount": 0.75}, F.softshrink(T, 0.75)),
    "softmax": ({"axis": 0}, T.softmax(1)),
    "softplus": ({"beta": -2.0, "threshold": 80.0}, -torch.logaddexp(-2 * T, torch.zeros(())) / 2),
    "softsign": ({}, F.softsign(T)),
    "tanh": ({}, T.tanh()),
    "tanh_shrink": ({}, F.tanhshrink(T)),
}


@pytest.mark.parametrize("op", CASES)
def test_values_agree_with_torch_and_constants_with_differences(op):
    attributes, expected = CASES[op]
    given = step(op, attributes)
    found = middle(SMOOTH[op](given, exact(X)))
    assert np.allclose(found, expected.numpy(), rtol=1e-13, atol=1e-13)
    moved = middle(SMOOTH[op](given, exact(X + 0.01)))
    assert np.abs(moved - found).max() / 0.01 <= float(SMOOTH_CONSTANTS[op](given, X.shape).upper()) * (1 + 1e-9)


def test_the_operations_are_those_of_the_checker():
    assert set(SMOOTH) == set(ELEMENTWISE) == set(SMOOTH_CONSTANTS)


@pytest.mark.parametrize(
    ("op", "function", "top"),
    [
        ("gelu", lambda x: x * mpmath.ncdf(x), 2**0.5),
        ("gelu_tanh", lambda x: x * (1 + mpmath.tanh((2 / mpmath.pi) ** 0.5 * (x + 0.044715 * x**3))) / 2, 1.4),
        ("mish", lambda x: x * mpmath.tanh(mpmath.log1p(mpmath.exp(x))), 1.49),
        ("silu", lambda x: x / (1 + mpmath.exp(-x)), 2.4),
    ],
)
def test_the_largest_derivatives_are_below_the_bounds(op, function, top):
    found = max(mpmath.diff(function, top + h) for h in np.linspace(-0.1, 0.1, 21))
    bound = float(derivative_bound(step(op)).upper())
    assert bound / 1.001 <= found <= bound


def test_wide_balls_hold_all_images():
    wide = np.array([[arb(0.5, 0.25)]], dtype=object)
    for op, (attributes, _) in CASES.items():
        given = step(op, attributes | ({"axis": 0} if "axis" in attributes else {}))
        (image,) = SMOOTH[op](given, wide)[0]
        for value in (0.25, 0.4, 0.75):
            (inner,) = SMOOTH[op](given, exact([[value]]))[0]
            assert image.overlaps(inner), op


def test_the_jump_of_softplus_is_in_its_ball():
    (value,) = SMOOTH["softplus"](step("softplus", {"beta": 1.0, "threshold": 20.0}), exact([[25.0]]))[0]
    assert value.contains(arb(25))


@pytest.mark.parametrize(
    ("op", "attributes"),
    [
        ("elu", {"alpha": 1.0, "width": 0.0, "scale": 1.0}),
        ("softplus", {"beta": 0.0, "threshold": 30.0}),
        ("softplus", {"beta": 1.0, "threshold": 1.0}),
        ("soft_shrink", {"amount": -1.0}),
        ("softmax", {"axis": 5}),
    ],
)
def test_nonsense_is_refused(op, attributes):
    with pytest.raises(VerificationError, match="does not fit"):
        SMOOTH[op](step(op, attributes), exact(X))
