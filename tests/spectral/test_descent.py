import pytest
import torch
from tests.spectral.clipping import enlarged
from torch import nn

from onelip.spectral.descent import descend, spectral_norm, square_norm
from onelip.spectral.weighted_map import WeightedMap


def test_it_comes_down_and_stays_near():
    torch.manual_seed(0)
    layer = enlarged(nn.Linear(6, 8), 3).double()
    map_ = WeightedMap(layer, (6,))
    found = descend(map_, 0.7)
    assert spectral_norm(map_.matrix(found)) <= 0.7 * (1 + 1e-9)
    excess = (torch.linalg.svdvals(layer.weight.detach()) - 0.7).clamp(min=0).norm()
    assert excess * 0.999 <= (found - map_.start).norm() <= 1.05 * excess


def test_the_square_norm_counts_positions():
    map_ = WeightedMap(nn.Conv1d(2, 3, 1).double(), (2, 5))
    assert square_norm(map_) == pytest.approx(5)
    assert square_norm(WeightedMap(nn.Linear(3, 2).double(), (4, 3))) == pytest.approx(4)
