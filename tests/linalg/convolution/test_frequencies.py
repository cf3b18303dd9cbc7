"""The matrices are those of the FFT, and as far from the exact ones as stated at most."""

from __future__ import annotations

import mpmath
import pytest
import torch

from onelip.linalg.convolution.frequencies import Frequencies
from onelip.linalg.convolution.kernels import autocorrelation


def _taps(*shape: int) -> torch.Tensor:
    return autocorrelation(torch.randn(shape, dtype=torch.float64), side="out")


def _points(groups: int, counts: tuple[int, int]) -> torch.Tensor:
    return torch.cartesian_prod(*(torch.arange(n) for n in (groups, *counts)))


@pytest.mark.parametrize("counts", [(8, 6), (5, 7)])
@pytest.mark.parametrize("groups", [1, 3])
def test_matrices_are_those_of_the_fft(counts: tuple[int, int], groups: int) -> None:
    taps = torch.stack([_taps(4, 3, 3, 2) for _ in range(groups)])
    image = torch.zeros(groups, 4, 4, *counts, dtype=torch.float64)
    for i in range(5):
        for j in range(3):
            image[..., (i - 2) % counts[0], (j - 1) % counts[1]] += taps[..., i, j]
    # The FFT has exp(-i l w).
    expected = torch.fft.fft2(image).conj().permute(0, 3, 4, 1, 2).flatten(0, 2)
    frequencies = Frequencies(taps)
    points = _points(groups, counts)
    found = torch.cat([frequencies.matrices(part, counts) for part in frequencies.parts(points)])
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-13 * float(expected.abs().max()))
    assert frequencies.parts(points[:0]) == ()


def test_error_is_bounded() -> None:
    taps = _taps(2, 3, 3, 3)
    frequencies = Frequencies(taps[None])
    counts = (3 * 2**10, 2**12)
    points = torch.tensor([[0, 1, 3], [0, 3 * 2**10 - 1, 5], [0, 700, 4095], [0, 2**9, 2**11 + 1]])
    with mpmath.workdps(40):
        for (_, i, j), matrix in zip(points.tolist(), frequencies.matrices(points, counts), strict=True):
            exact = mpmath.zeros(2)
            for a in range(5):
                for b in range(5):
                    angle = 2 * (mpmath.mpf(i * (a - 2)) / counts[0] + mpmath.mpf(j * (b - 2)) / counts[1])
                    exact += mpmath.matrix(taps[:, :, a, b].tolist()) * mpmath.expjpi(angle)
            gap = mpmath.mnorm(mpmath.matrix(matrix.tolist()) - exact, "f")
            assert gap <= frequencies.error <= 1e-11
