import math

import numpy as np
import pytest
import torch

from onelip.certify.checker.errors import VerificationError
from onelip.certify.checker.fourier import FOURIER, frequency_constant, largest_matrix, series_constant
from onelip.certify.checker.network import Step
from onelip.layers import SkewSeries2d
from onelip.layers.frequency import frequency_conv2d

RNG = np.random.default_rng(0)
SKEW = RNG.standard_normal((4, 4, 3, 3))
SKEW = 0.1 * (SKEW - SKEW.transpose(1, 0, 2, 3)[..., ::-1, ::-1])
EXPONENTIAL = [1 / math.factorial(k) for k in range(9)]


def series(kernel, norm, coefficients=EXPONENTIAL, claimed=1.0, **changes):
    attributes = {
        "pads": [1, 1, 1, 1], "dilation": [1, 1], "groups": 1, "padding_mode": "zeros", "norm": norm,
        "coefficients": list(coefficients),
    }  # fmt: skip
    return Step("s", "skew_series2d", ("input",), attributes | changes, {"weight": kernel}, claimed, None)


def frequency(spectrum, claimed=1.0):
    stored = np.stack([spectrum.real, spectrum.imag], -1)
    return Step("s", "frequency_conv2d", ("input",), {}, {"spectrum": stored}, claimed, None)


def dense(step, shape):
    basis = np.eye(math.prod(shape)).reshape(-1, *shape)
    return FOURIER[step.op](step, basis)[0].reshape(len(basis), -1).T


@pytest.mark.parametrize("size", [(4, 4), (3, 5), (5, 2)])
def test_frequencies(size):
    spectrum = RNG.standard_normal((size[0], size[1] // 2 + 1, 2, 3, 2, 2)) @ np.array([1, 1j])
    x = RNG.standard_normal((2, 4, *size))
    y, error = FOURIER["frequency_conv2d"](frequency(spectrum, 10.0), x)
    expected = frequency_conv2d(torch.from_numpy(x), torch.from_numpy(spectrum), None)
    assert np.allclose(y, expected, rtol=1e-12, atol=1e-12)
    assert (error < 1e-9).all()
    exact = float(np.linalg.norm(dense(frequency(spectrum), (4, *size)), 2))
    largest = float(np.linalg.norm(spectrum, 2, axis=(-2, -1)).max())
    assert exact <= largest * (1 + 1e-12)
    assert frequency_constant(frequency(spectrum), largest * (1 + 1e-9)) == largest * (1 + 1e-9)
    assert frequency_constant(frequency(spectrum), largest * (1 - 1e-9)) > largest


def test_a_spectrum_of_another_size_is_refused():
    with pytest.raises(VerificationError, match="spectrum"):
        FOURIER["frequency_conv2d"](frequency(np.ones((4, 3, 1, 1, 1)) + 0j), np.ones((1, 1, 4, 6)))


@pytest.mark.parametrize("mode", ["zeros", "circular"])
def test_series_of_skew_convolutions(mode):
    step = series(SKEW, 3.0, padding_mode=mode)
    x = RNG.standard_normal((2, 4, 5, 6))
    layer = SkewSeries2d(torch.from_numpy(SKEW), None, EXPONENTIAL, mode)
    with torch.no_grad():
        assert np.allclose(FOURIER["skew_series2d"](step, x)[0], layer(torch.from_numpy(x)), rtol=1e-12, atol=1e-12)
    exact = float(np.linalg.norm(dense(step, (4, 5, 6)), 2))
    bound = series_constant(step, 1.0)
    assert exact <= bound * (1 + 1e-12)
    # Far below the sum of the norms of the terms, e^3 = 20.
    assert bound < 2


def test_other_kernels_get_the_sum_of_norms():
    kernel = np.eye(2)[:, :, None, None]
    step = series(kernel, 1 + 1e-9, [1.0, 1.0, 0.5], pads=[0, 0, 0, 0])
    assert series_constant(step, 1.0) == pytest.approx(2.5)
    assert float(np.linalg.norm(dense(step, (2, 2, 2)), 2)) == pytest.approx(2.5)


def test_the_norm_of_the_convolution_is_proved():
    with pytest.raises(VerificationError, match=r"norm 0.01 of the convolution of 's' could not be proved"):
        series_constant(series(SKEW, 0.01), 1.0)


@pytest.mark.parametrize("coefficients", [[1.0], [1.0] * 40, [1.0, "1"], "12"])
def test_bad_coefficients(coefficients):
    attributes = series(SKEW, 3.0).attributes | {"coefficients": coefficients}
    with pytest.raises(VerificationError, match="coefficients"):
        series_constant(Step("s", "skew_series2d", ("input",), attributes, {"weight": SKEW}, 1.0, None), 1.0)


def test_off_centre_padding_is_not_skew():
    shifted = series_constant(series(SKEW, 3.0, pads=[2, 0, 1, 1]), 1.0)
    assert shifted > 2 * series_constant(series(SKEW, 3.0), 1.0)


@pytest.mark.parametrize("scale", [1.0, 1e-170, 1e-300, 1e300])
def test_largest_matrices_do_not_under_or_overflow(scale):
    spectrum = scale * np.array([[[3.0, 4.0j]], [[1.0, 0.0]]])
    assert largest_matrix(spectrum) == pytest.approx(5 * scale, rel=1e-6)
    assert largest_matrix(spectrum) >= 5 * scale
