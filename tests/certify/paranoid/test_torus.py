import numpy as np
import pytest
import torch
from flint import arb
from tests.certify.paranoid.balls import middle
from tests.linalg.convolution.dense import circular_operator

from onelip.certify.paranoid.torus import as_real, phases, symbols, torus_norm_proof, turn, work


@pytest.mark.parametrize(("stride", "dilation"), [((1, 1), (1, 1)), ((2, 1), (1, 2)), ((2, 3), (3, 2))])
def test_the_norm_of_a_torus_is_that_of_its_dense_operator(stride, dilation):
    w = np.random.default_rng(0).standard_normal((3, 2, 3, 2))
    size = (4 * stride[0], 3 * stride[1])
    dense = circular_operator(torch.from_numpy(w), size, stride=stride, dilation=dilation, groups=1)
    true = float(np.linalg.norm(dense, 2))
    kernel = phases(w, stride, dilation)
    largest = max(np.linalg.norm(middle(m), 2) for m in symbols(kernel, (4, 3)))
    assert np.isclose(largest, true, rtol=1e-12)
    claim = arb(true * (1 + 1e-12))
    assert torus_norm_proof(kernel, (4, 3), (arb(true * (1 - 1e-12)), claim)) is claim
    assert torus_norm_proof(kernel, (4, 3), (arb(true * (1 - 1e-12)),)) is None


def test_half_of_the_frequencies_suffice():
    kernel = np.random.default_rng(0).standard_normal((1, 1, 2, 2))
    assert len(list(symbols(kernel, (4, 4)))) == 10
    assert len(list(symbols(kernel, (3, 1)))) == 2


def test_roots_of_unity_and_real_forms():
    cosine, sine = turn(1, 8)
    assert (cosine * cosine).overlaps(arb(0.5))
    assert sine.overlaps(cosine)
    block = as_real(np.array([[arb(1)]], dtype=object), np.array([[arb(2)]], dtype=object))
    assert block.tolist() == [[1, -2], [2, 1]]


def test_work_grows_with_size():
    small, large = np.empty((8, 8, 3, 3)), np.empty((64, 64, 3, 3))
    assert work(small, (8, 8)) < work(large, (8, 8)) < work(large, (32, 32))
