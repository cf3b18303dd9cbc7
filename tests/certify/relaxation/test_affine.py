"""Affine maps are their dense matrices."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.certify.relaxation.dense import absolute_slack, matrix_of

from onelip.certify.relaxation.affine import Convolution, adjoint_map, conv_map, dense_map, diagonal_map, exact_map

GEOMETRIES = [
    Convolution((2, 5, 6), (1, 1), (1, 1, 1, 1), (1, 1), 1, "zeros"),
    Convolution((4, 6, 5), (2, 2), (0, 1, 2, 0), (1, 1), 2, "zeros"),
    Convolution((2, 7, 7), (3, 2), (2, 2, 2, 2), (2, 2), 1, "zeros"),
    Convolution((2, 5, 6), (1, 1), (1, 1, 1, 1), (1, 1), 1, "circular"),
    Convolution((2, 2, 3), (1, 1), (2, 3, 1, 4), (2, 1), 1, "circular"),
    Convolution((2, 5, 6), (2, 1), (2, 1, 2, 2), (1, 1), 2, "reflect"),
    Convolution((2, 4, 4), (1, 1), (2, 2, 2, 2), (1, 2), 1, "replicate"),
]


def _check(own, before):
    dense = matrix_of(own.apply, before)
    after = own.apply(torch.zeros(1, *before, dtype=torch.float64)).shape[1:]
    assert torch.allclose(matrix_of(own.adjoint, after), dense.T, rtol=0, atol=1e-13)
    assert bool((matrix_of(own.absolute, before) - dense.abs() > -absolute_slack(dense)).all())
    if own.row_norms is not None:
        norms = torch.linalg.vector_norm(dense, dim=1)
        assert bool((own.row_norms.expand(after).flatten() >= norms).all())
    return dense


@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
def test_convolution_is_its_dense_matrix(geometry):
    torch.manual_seed(0)
    weight = torch.randn(4, geometry.before[0] // geometry.groups, 3, 2, dtype=torch.float64)
    dense = _check(conv_map(weight, geometry), geometry.before)
    own = conv_map(weight, geometry)
    # As many roundings as entries of a row or a column, at least.
    assert own.terms >= max((dense != 0).sum(0).max(), (dense != 0).sum(1).max())
    if geometry.padding_mode == "zeros":
        exact = torch.linalg.vector_norm(dense, dim=1)
        assert torch.allclose(own.row_norms.flatten(), exact, rtol=1e-12)


@given(rows=st.integers(1, 5), columns=st.integers(1, 5), seed=st.integers(0, 99))
@settings(max_examples=20, deadline=None)
def test_dense_map(rows, columns, seed):
    weight = torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    assert torch.equal(_check(dense_map(weight), (columns,)), weight)


def test_other_maps():
    torch.manual_seed(0)
    _check(diagonal_map(torch.randn(3, 1, dtype=torch.float64)), (3, 2))
    _check(exact_map(lambda x: x[:, :2] - x[:, 1:], (3, 2), lambda x: x[:, :2] + x[:, 1:]), (3, 2))
    weight = torch.randn(4, 3, dtype=torch.float64)
    back = adjoint_map(dense_map(weight), dense_map(weight.abs()), -2.0)
    assert torch.equal(_check(back, (4,)), -2 * weight.T)


def test_offset_comes_with_its_size():
    own = diagonal_map(torch.ones(1)).shifted(torch.tensor([-2.0]))
    assert own.offset.item() == -2.0
    assert own.offset_size.item() == 2.0
