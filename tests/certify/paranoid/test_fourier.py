import numpy as np
import pytest
import torch
from flint import arb
from tests.certify.paranoid.balls import middle, step

from onelip import layers as L
from onelip.certify.checker.errors import VerificationError
from onelip.certify.paranoid.balls import exact
from onelip.certify.paranoid.errors import NotCoveredError
from onelip.certify.paranoid.fourier import adjoints, multiply_frequencies, spectrum_norm, spectrum_of

RNG = np.random.default_rng(0)


def complex_of(spectrum):
    return spectrum[..., 0] + 1j * spectrum[..., 1]


@pytest.mark.parametrize(("size", "groups"), [((3, 4), 1), ((4, 3), 2), ((1, 6), 1)])
def test_products_agree_with_the_fast_transform(size, groups):
    height, width = size
    spectrum = RNG.standard_normal((height, width // 2 + 1, groups, 3, 2, 2))
    x = RNG.standard_normal((2, 2 * groups, height, width))
    # A real image from each coefficient and its mirror image, which stands for the half that is not stored.
    full = np.zeros((height, width, groups, 3, 2), dtype=complex)
    full[:, : width // 2 + 1] = complex_of(spectrum)
    mirrored = np.conj(np.roll(full[::-1, ::-1], (1, 1), (0, 1)))
    own = (np.arange(width) == 0) | (2 * np.arange(width) == width)
    full = np.where(own[:, None, None, None], (full + mirrored) / 2, full + mirrored)
    coefficients = np.fft.fft2(x).transpose(2, 3, 1, 0).reshape(height, width, groups, 2, 2)
    product = np.fft.ifft2((full @ coefficients).reshape(height, width, -1, 2).transpose(3, 2, 0, 1))
    assert np.abs(product.imag).max() < 1e-14
    found = multiply_frequencies(step("x"), spectrum, exact(x))
    assert np.allclose(middle(found), product.real, rtol=0, atol=1e-13)


def test_the_layer_itself_agrees():
    weight = torch.randn(3, 4, 2, 3, 3, dtype=torch.complex128)
    layer = L.FrequencyConv2d(weight, torch.zeros(6, dtype=torch.float64), (3, 6))
    x = torch.randn(1, 6, 3, 6, dtype=torch.float64)
    found = multiply_frequencies(step("x"), torch.view_as_real(weight).numpy(), exact(x.numpy()))
    assert np.allclose(middle(found), layer(x).detach().numpy(), rtol=0, atol=1e-12)


def test_norms():
    spectrum = RNG.standard_normal((3, 2, 1, 4, 2, 2))
    true = float(np.linalg.norm(complex_of(spectrum), 2, axis=(-2, -1)).max())
    assert spectrum_norm(step("x"), spectrum, (arb(true * 1.000001),)) <= true * 1.000001
    assert spectrum_norm(step("x"), spectrum, (arb(true * 0.999999),)) >= true
    turned = np.conj(complex_of(spectrum)).swapaxes(-1, -2)
    assert np.array_equal(complex_of(adjoints(spectrum)), turned)


def test_what_does_not_fit():
    with pytest.raises(VerificationError, match="spectrum"):
        multiply_frequencies(step("x"), np.zeros((3, 2, 1, 1, 1, 2)), exact(np.zeros((1, 1, 3, 5))))
    with pytest.raises(VerificationError, match="weight of shape"):
        spectrum_of(step("x", weight=np.zeros((2, 2))), "weight")
    with pytest.raises(NotCoveredError, match="too large"):
        spectrum_norm(step("x"), np.broadcast_to(np.zeros(2), (64, 33, 1, 256, 256, 2)), ())
