import numpy as np
import pytest
import torch
from flint import arb
from tests.certify.paranoid.balls import middle
from tests.linalg.convolution.dense import circular_operator

from onelip.certify.paranoid.torus import Ring, as_real, frequencies, is_real, phases, symbols, turn, work


def rings(*sizes, twisted=False):
    return tuple(Ring(n, 1, 1, twisted) for n in sizes)


@pytest.mark.parametrize(("stride", "dilation"), [((1, 1), (1, 1)), ((2, 1), (1, 2)), ((2, 3), (3, 2))])
def test_the_norm_of_a_torus_is_that_of_its_dense_operator(stride, dilation):
    w = np.random.default_rng(0).standard_normal((3, 2, 3, 2))
    size = (4 * stride[0], 3 * stride[1])
    dense = circular_operator(torch.from_numpy(w), size, stride=stride, dilation=dilation, groups=1)
    true = float(np.linalg.norm(dense, 2))
    kernel = phases(w, stride, dilation)
    largest = max(np.linalg.norm(middle(m), 2) for (m,) in symbols(kernel, rings(4, 3)))
    assert np.isclose(largest, true, rtol=1e-12)


def test_a_twisted_ring_takes_the_frequencies_in_between():
    kernel = np.random.default_rng(1).standard_normal((2, 3, 3))
    found = sorted(float(np.linalg.norm(middle(m), 2)) for (m,) in symbols(kernel, rings(5, twisted=True)))
    angles = np.pi * np.array([1, 3, 5]) / 5
    waves = np.exp(1j * np.arange(3)[:, None] * angles)
    expected = sorted(float(np.linalg.norm(m, 2)) for m in np.moveaxis(kernel @ waves, 2, 0))
    assert np.allclose(found, expected, rtol=1e-12)


def test_axes_that_are_left_keep_their_taps():
    kernel = np.random.default_rng(2).standard_normal((2, 2, 3, 2))
    taps = next(iter(symbols(kernel, rings(4))))
    assert np.allclose(middle(np.array(taps)), kernel.sum(2).transpose(2, 0, 1))
    (taps,) = list(symbols(kernel, ()))
    assert np.allclose(middle(np.array(taps)), kernel.reshape(2, 2, 6).transpose(2, 0, 1))


def test_half_of_the_frequencies_suffice():
    assert len(frequencies(rings(4, 4))) == 10
    assert len(frequencies(rings(3, 1))) == 2
    assert frequencies(rings(4, twisted=True)) == [(1,), (3,)]
    assert [is_real(t, rings(4)) for t in frequencies(rings(4))] == [True, False, True]
    assert not is_real((1,), rings(2, twisted=True))


def test_roots_of_unity_and_real_forms():
    cosine, sine = turn(1, 8)
    assert (cosine * cosine).overlaps(arb(0.5))
    assert sine.overlaps(cosine)
    block = as_real(np.array([[arb(1)]], dtype=object), np.array([[arb(2)]], dtype=object))
    assert block.tolist() == [[1, -2], [2, 1]]


def test_work_grows_with_size():
    small, large = np.empty((8, 8, 3, 3)), np.empty((64, 64, 3, 3))
    assert work(small, 64) < work(large, 64) < work(large, 1024)
