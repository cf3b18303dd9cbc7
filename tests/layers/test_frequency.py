"""Multiplying Fourier coefficients: against torch's circular convolution, odd and oblong sizes, proved bound."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from onelip.layers import FrequencyConv2d, InvertibleDownsampling2d
from onelip.layers.frequency import frequency_conv2d, kernel_spectrum

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
    origin = (dilation * (kernel[0] - 1) // 2, dilation * (kernel[1] - 1) // 2)
    spectrum = kernel_spectrum(conv.weight.detach(), image, origin, (1, 1), (dilation, dilation), groups)
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


@pytest.mark.parametrize(
    ("stride", "dilation"), [((2, 2), (1, 1)), ((2, 3), (1, 1)), ((3, 1), (2, 1)), ((2, 2), (3, 2))]
)
@pytest.mark.parametrize("kernel", [(3, 3), (4, 2), (1, 5)])
def test_spectrum_of_a_strided_kernel(
    kernel: tuple[int, int], stride: tuple[int, int], dilation: tuple[int, int]
) -> None:
    # y_u = sum over t of K_t x_(s u + d t - origin), indices modulo the image, by the definition.
    size, origin, groups = (3, 4), (1, 2), 2
    weight = torch.randn(6, 2, *kernel, dtype=torch.float64)
    x = torch.randn(2, 4, size[0] * stride[0], size[1] * stride[1], dtype=torch.float64)
    expected = torch.zeros(2, 6, *size, dtype=torch.float64)
    for a in range(kernel[0]):
        for b in range(kernel[1]):
            shift = (origin[0] - a * dilation[0], origin[1] - b * dilation[1])
            seen = x.roll(shift, (2, 3))[:, :, :: stride[0], :: stride[1]]
            for g in range(groups):
                expected[:, 3 * g : 3 * g + 3] += torch.einsum(
                    "oi,nihw->nohw", weight[3 * g : 3 * g + 3, :, a, b], seen[:, 2 * g : 2 * g + 2]
                )
    spectrum = kernel_spectrum(weight, size, origin, stride, dilation, groups)
    assert spectrum.shape == (3, 3, 2, 3, 2 * stride[0] * stride[1])
    y = frequency_conv2d(InvertibleDownsampling2d(stride)(x), spectrum, None)
    torch.testing.assert_close(y, expected, rtol=0, atol=1e-12)
