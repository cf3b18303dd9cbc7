"""Convolution by Fourier coefficients: against torch's circular convolution, odd and oblong sizes, proved bound."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from onelip.layers import CayleyConv2d, FrequencyConv2d, to_plain
from onelip.layers.conv_arguments import conv_arguments
from onelip.layers.fourier import frequency_conv2d, kernel_spectrum

# kernel, dilation, groups, image
CASES = [
    ((3, 3), 1, 1, (5, 7)),
    ((3, 3), 1, 2, (6, 4)),
    ((2, 4), 1, 1, (7, 5)),
    ((3, 1), 2, 1, (8, 3)),
    ((5, 5), 1, 1, (5, 6)),
    ((1, 1), 1, 4, (1, 1)),
]


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")
@pytest.mark.parametrize(("kernel", "dilation", "groups", "image"), CASES)
def test_spectrum_of_a_kernel_is_torchs_circular_convolution(
    kernel: tuple[int, int], dilation: int, groups: int, image: tuple[int, int]
) -> None:
    conv = nn.Conv2d(4, 8, kernel, 1, "same", dilation, groups, True, "circular", dtype=torch.float64)
    arguments = conv_arguments("Test", 4, 8, kernel, 1, "same", dilation, groups, "circular")
    spectrum = kernel_spectrum(conv.weight.detach(), arguments, image)
    x = torch.randn(3, 4, *image, dtype=torch.float64)
    assert torch.allclose(frequency_conv2d(x, spectrum, conv.bias), conv(x), rtol=0, atol=1e-13)
    # The plain layer keeps the spectrum exactly, in any batch shape.
    plain = FrequencyConv2d(spectrum, conv.bias, image)
    assert torch.equal(plain(x), frequency_conv2d(x, spectrum, conv.bias))
    assert torch.allclose(plain(x[0]), conv(x)[0], rtol=0, atol=1e-13)
    assert plain(x[:0]).shape == (0, 8, *image)


@pytest.mark.parametrize("image", [(4, 4), (5, 3), (3, 6)])
def test_bound_covers_any_stored_spectrum(image: tuple[int, int]) -> None:
    # Not Hermitian at the frequencies that are their own mirror images, as stored numbers need not be.
    spectrum = torch.randn(image[0], image[1] // 2 + 1, 1, 2, 3, dtype=torch.complex128)
    layer = FrequencyConv2d(spectrum, None, image)
    bound = layer.lipschitz_bound()
    x = torch.zeros(1, 3, *image, dtype=torch.float64)
    norm = float(torch.linalg.svdvals(torch.func.jacrev(layer)(x).detach().reshape(-1, x.numel()))[0])
    assert bound.proved
    assert norm <= bound.value
    assert bound.value <= float(torch.linalg.svdvals(spectrum).max()) * (1 + 1e-8)


def test_refusals() -> None:
    spectrum = torch.zeros(4, 3, 1, 2, 2, dtype=torch.complex64)
    with pytest.raises(ValueError, match=r"spectrum of shape .* in FrequencyConv2d must be complex"):
        FrequencyConv2d(spectrum, None, (4, 6))
    with pytest.raises(ValueError, match=r"image of size \(5, 4\) in FrequencyConv2d must be \(4, 4\)"):
        FrequencyConv2d(spectrum, None, (4, 4))(torch.zeros(1, 2, 5, 4))
    with pytest.raises(ValueError, match="padding=0 in CayleyConv2d must be 'same'"):
        CayleyConv2d(2, 2, 3, padding_mode="circular")
    with pytest.raises(ValueError, match="stride=2 in CayleyConv2d must be 1"):
        CayleyConv2d(2, 2, 1, 2, padding_mode="circular")
    with pytest.raises(ValueError, match="padding_mode='zeros' in CayleyConv2d"):
        CayleyConv2d(2, 2, 3, padding="same")
    with pytest.raises(ValueError, match="image_size=None in CayleyConv2d"):
        to_plain(CayleyConv2d(2, 2, 3, padding="same", padding_mode="circular"))


def test_spectra_are_kept_for_a_few_sizes_and_dropped_by_training() -> None:
    layer = CayleyConv2d(2, 2, 3, padding="same", padding_mode="circular").eval()
    with torch.no_grad():
        first = layer.spectrum((4, 4))
        assert layer.spectrum((4, 4)) is first
        for size in range(5, 12):
            layer.spectrum((size, size))
        assert len(layer._caches) <= 4
        last = layer.spectrum((11, 11))
        layer.raw_weight.mul_(-1)
        assert not torch.equal(layer.spectrum((11, 11)), last)
    layer.train()
    assert not layer._caches


def test_bound_without_a_shape_is_no_proof() -> None:
    layer = CayleyConv2d(2, 2, 3, padding="same", padding_mode="circular")
    assert not layer.lipschitz_bound().proved
    assert layer.lipschitz_bound((2, 5, 6)).proved
