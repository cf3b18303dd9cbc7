import pytest
import torch
from tests.spectral.clipping import values
from torch import nn

from onelip.spectral.top_value import DENSE_ENTRIES, top_value


def test_small_maps_are_measured_by_their_matrix():
    for module, shape in ((nn.Linear(3, 7), (3,)), (nn.Linear(7, 3), (7,)), (nn.Conv2d(2, 2, 3), (2, 5, 4))):
        assert top_value(module, shape).value == pytest.approx(float(values(module, shape)[0]), rel=1e-5)


def test_large_maps_are_not_missed():
    n = 520
    layer = nn.Linear(n, n)
    assert n * n > DENSE_ENTRIES
    with torch.no_grad():
        # One direction above a crowd.
        layer.weight.copy_(torch.eye(n))
        layer.weight[0, 0] = 1.01
    assert top_value(layer, None).value == pytest.approx(1.01, rel=4e-4)
