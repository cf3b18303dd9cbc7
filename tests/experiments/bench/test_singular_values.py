"""Singular values by frequency are those of the dense matrix."""

import pytest
import torch
from torch import nn

from onelip import layers
from onelip.experiments.bench.singular_values import singular_values


def dense(module, shape):
    size = torch.Size(shape).numel()
    module = module.double().eval()
    with torch.no_grad():
        basis = torch.cat([torch.zeros(1, size), torch.eye(size)]).double().reshape(-1, *shape)
        columns = module(basis).flatten(1)
    return torch.linalg.svdvals(columns[1:] - columns[:1])


@pytest.mark.parametrize(
    ("module", "shape"),
    [
        (nn.Linear(5, 3), (5,)),
        (nn.Conv1d(2, 3, 3, padding=1, padding_mode="circular"), (2, 7)),
        (nn.Conv2d(2, 4, 3, padding=1, padding_mode="circular"), (2, 5, 6)),
        (nn.Conv2d(4, 2, 3, padding=1, padding_mode="circular", groups=2), (4, 4, 4)),
        (layers.AOCConv2d(2, 3, 3, padding=1, padding_mode="circular").eval(), (2, 4, 5)),
        (nn.Sequential(nn.Conv2d(2, 2, 1), nn.Conv2d(2, 2, 3, padding=1, padding_mode="circular")), (2, 4, 4)),
        # Not a map of periodic images.
        (nn.Conv2d(2, 3, 3, padding=1), (2, 4, 4)),
        (nn.Conv2d(2, 8, 2, stride=2), (2, 4, 4)),
        (nn.ConvTranspose2d(3, 2, 3, padding=1), (3, 4, 4)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_they_are_those_of_the_dense_matrix(module, shape):
    found, expected = singular_values(module, shape, 3), dense(layers.to_plain(module).double(), shape)
    assert found.linear
    assert found.largest == pytest.approx(float(expected.max()), rel=1e-10)
    assert found.smallest == pytest.approx(float(expected.min()), rel=1e-7, abs=1e-10)


def test_a_nonlinear_layer_is_measured_at_a_point():
    found = singular_values(nn.Sequential(nn.Flatten(), nn.ReLU()), (2, 4, 4), 3)
    assert not found.linear
    assert (found.largest, found.smallest) == (1, 0)


def test_a_layer_that_keeps_every_length_is_found_to():
    found = singular_values(layers.to_plain(layers.MaxMin()), (4, 4, 4))
    assert not found.linear
    assert found.smallest == pytest.approx(1, abs=1e-12)
