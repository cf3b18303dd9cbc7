import math

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from onelip.certify.frequency import frequency_error, frequency_forward, waves
from onelip.layers.frequency import frequency_conv2d


@settings(max_examples=20)
@given(st.integers(1, 7), st.integers(1, 7), st.integers(1, 2), st.integers(0, 1000))
def test_agrees_with_fast_transforms(height, width, groups, seed):
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(2, 2 * groups, height, width, dtype=torch.float64, generator=g)
    # Not the spectrum of a real kernel: also what a stored half means beyond symmetry is the same.
    spectrum = torch.randn(height, width // 2 + 1, groups, 3, 2, dtype=torch.complex128, generator=g)
    bias = torch.randn(3 * groups, dtype=torch.float64, generator=g)
    y, expected = frequency_forward(x, spectrum, bias), frequency_conv2d(x, spectrum, bias)
    largest = float(torch.linalg.matrix_norm(spectrum).max())
    tolerance = frequency_error((height, width), largest, largest, 2) * float(x.norm()) + 1e-15 * float(y.norm())
    assert float((y - expected).norm()) <= 2 * tolerance
    assert tolerance < 1e-10 * float(x.norm() * largest + y.norm())


def test_waves():
    table = waves(6, 4, torch.zeros(1))
    assert table.shape == (6, 4)
    assert abs(complex(table[3, 1]) + 1) < 1e-15
    assert abs(complex(table[1, 1]) - complex(math.cos(math.pi / 3), -math.sin(math.pi / 3))) < 1e-15
