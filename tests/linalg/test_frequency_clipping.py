"""One step of alternating projections, against NumPy at every frequency."""

import numpy as np
import pytest
import torch

from onelip.linalg.frequency_clipping import clip_frequencies


def _by_numpy(kernel, size, limit):
    # Sedghi, Gupta and Long 2019, section 3: transform, clip, transform back, crop.
    spectrum = np.fft.fft2(kernel.transpose(2, 3, 0, 1), size, axes=[0, 1])
    u, d, v = np.linalg.svd(spectrum, full_matrices=False)
    clipped = np.matmul(u * np.minimum(d, limit)[..., None, :], v)
    back = np.fft.ifft2(clipped, axes=[0, 1]).real
    return back[: kernel.shape[2], : kernel.shape[3]].transpose(2, 3, 0, 1), d.max()


@pytest.mark.parametrize(("shape", "size"), [((4, 6, 3, 3), (7, 8)), ((5, 2, 2, 4), (4, 4)), ((3, 3, 1, 1), (1, 1))])
def test_a_step_is_that_of_the_paper(shape, size):
    kernel = torch.randn(shape, dtype=torch.float64)
    expected, norm = _by_numpy(kernel.numpy(), size, 0.7)
    clipped, top = clip_frequencies(kernel, size, 0.7)
    np.testing.assert_allclose(clipped.numpy(), expected, atol=1e-12)
    assert top == pytest.approx(norm)


@pytest.mark.parametrize(
    ("stride", "dilation"), [((2, 2), (1, 1)), ((3, 2), (1, 1)), ((2, 1), (3, 2)), ((1, 1), (2, 2))]
)
@pytest.mark.parametrize("groups", [1, 2])
def test_phases_and_taps_are_put_back_where_they_were(stride, dilation, groups):
    # One tap: its matrix is that of all frequencies, so that clipping is exact and moves nothing elsewhere.
    kernel = torch.zeros(4, 3, 3, 2, dtype=torch.float64)
    kernel[:, :, 2, 1] = torch.randn(4, 3, dtype=torch.float64)
    clipped, _ = clip_frequencies(kernel, (6, 7), 0.5, stride=stride, dilation=dilation, groups=groups)
    expected = torch.zeros_like(kernel)
    for rows in torch.arange(4).chunk(groups):
        u, s, vh = torch.linalg.svd(kernel[rows, :, 2, 1], full_matrices=False)
        expected[rows, :, 2, 1] = (u * s.clamp_max(0.5)) @ vh
    torch.testing.assert_close(clipped, expected)


def test_a_kernel_below_the_limit_is_the_same_object():
    kernel = torch.randn(2, 2, 3, 3)
    clipped, top = clip_frequencies(kernel, (5, 5), 1e3)
    assert clipped is kernel
    assert 0 < top < 1e3
