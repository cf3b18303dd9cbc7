import numpy as np
import pytest
import torch

from onelip.certify.checker.constants import step_constant
from onelip.certify.checker.errors import VerificationError
from onelip.certify.checker.network import Step
from onelip.certify.checker.sandwich import SANDWICH, sandwich_constant
from onelip.layers.sandwich_plain import sandwich_frequency, sandwich_linear

RNG = np.random.default_rng(0)
BIAS = RNG.standard_normal(6)


def dense(weight, outputs, claimed=1.0, **arrays):
    return Step("s", "sandwich1d", ("input",), {"outputs": outputs}, {"weight": weight, **arrays}, claimed, None)


def frequency(spectrum, outputs, claimed=1.0, **arrays):
    stored = {"weight": np.stack([spectrum.real, spectrum.imag], -1), **arrays}
    return Step("s", "frequency_sandwich2d", ("input",), {"outputs": outputs}, stored, claimed, None)


def test_dense():
    weight, x = RNG.standard_normal((6, 7)), RNG.standard_normal((5, 3))
    y, error = SANDWICH["sandwich1d"](dense(weight, 4, bias=BIAS), x)
    expected = sandwich_linear(*map(torch.from_numpy, (x, weight, BIAS)), 4)
    assert np.allclose(y, expected, rtol=1e-12, atol=1e-12)
    assert (error > 0).all()
    assert (error < 1e-11).all()


@pytest.mark.parametrize("size", [(4, 4), (3, 5), (1, 2)])
def test_frequencies(size):
    spectrum = RNG.standard_normal((size[0], size[1] // 2 + 1, 2, 3, 5, 2)) @ np.array([1, 1j])
    x = RNG.standard_normal((2, 6, *size))
    y, error = SANDWICH["frequency_sandwich2d"](frequency(spectrum, 2, 40.0, bias=BIAS), x)
    expected = sandwich_frequency(*map(torch.from_numpy, (x, spectrum, BIAS)), 2)
    assert np.allclose(y, expected, rtol=1e-11, atol=1e-11)
    assert (error > 0).all()
    assert (error < 1e-8).all()


def test_the_constant_is_the_square_of_the_norm():
    weight = RNG.standard_normal((4, 9))
    square = float(np.linalg.norm(weight, 2)) ** 2
    assert square <= sandwich_constant(dense(weight, 3), square * (1 + 1e-9)) <= square * (1 + 1e-9)
    assert sandwich_constant(dense(weight, 3), square * (1 - 1e-9)) > square
    spectrum = RNG.standard_normal((3, 2, 1, 3, 4, 2)) @ np.array([1, 1j])
    square = float(np.linalg.norm(spectrum, 2, axis=(-2, -1)).max()) ** 2
    operation = frequency(spectrum, 2, square * (1 + 1e-9))
    assert square <= step_constant(operation, (1, 2, 3, 3), 0.0) <= square * (1 + 1e-9)
    assert sandwich_constant(frequency(spectrum, 2), square * (1 - 1e-9)) > square


def test_one_matrix_that_stretches_is_seen():
    q = np.linalg.qr(RNG.standard_normal((6, 3)))[0].T
    spectrum = np.broadcast_to(q, (4, 3, 1, 3, 6)) + 0j
    assert sandwich_constant(frequency(spectrum, 3), 1 + 1e-9) <= 1 + 1e-9
    spectrum = spectrum.copy()
    spectrum[2, 1] *= 1.001
    assert sandwich_constant(frequency(spectrum, 3), 1 + 1e-9) > 1.001


@pytest.mark.parametrize(
    ("operation", "shape"),
    [
        (dense(np.ones((2, 4)), 4), (1, 1)),
        (dense(np.ones((2, 4)), 2), (1, 3)),
        (dense(np.ones((2, 4)), 2, bias=np.ones(3)), (1, 2)),
        (frequency(np.ones((3, 2, 1, 2, 4)) + 0j, 4), (1, 1, 3, 3)),
        (frequency(np.ones((3, 2, 1, 2, 4)) + 0j, 2), (1, 2, 4, 3)),
        (frequency(np.ones((3, 2, 1, 2, 4)) + 0j, 2, bias=np.ones(3)), (1, 2, 3, 3)),
    ],
)
def test_what_does_not_fit_is_refused(operation, shape):
    with pytest.raises(VerificationError, match="does not fit"):
        SANDWICH[operation.op](operation, np.ones(shape))
