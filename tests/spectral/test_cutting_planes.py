import numpy as np
import pytest
import torch
from scipy.optimize import nnls
from tests.spectral.clipping import batch_norm, enlarged, values
from torch import nn

from onelip.spectral.cutting_planes import clip_by_cutting_planes_, nonnegative


@pytest.mark.parametrize("seed", range(5))
def test_multipliers_are_those_of_scipy(seed):
    generator = np.random.default_rng(seed)
    matrix, target = generator.normal(size=(12, 9)), generator.normal(size=12)
    wanted = nnls(matrix, target)[0]
    found = nonnegative(torch.from_numpy(matrix.T @ matrix), torch.from_numpy(matrix.T @ target))
    np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_equal_constraints_are_no_obstacle():
    gram = torch.ones(3, 3, dtype=torch.float64)
    found = nonnegative(gram, torch.full((3,), 2.0, dtype=torch.float64))
    assert float(found.sum()) == pytest.approx(2.0, rel=1e-5)
    assert not nonnegative(gram, -torch.ones(3, dtype=torch.float64)).any()


def test_a_dense_layer_is_deflated():
    layer = nn.Linear(6, 6).double()
    with torch.no_grad():
        layer.weight.copy_(torch.diag(torch.tensor([3.0, 2.0, 1.2, 0.9, 0.5, 0.1])))
    clip_by_cutting_planes_(layer, (6,), 1.0, tol=1e-6)
    wanted = torch.diag(torch.tensor([1.0, 1.0, 1.0, 0.9, 0.5, 0.1], dtype=torch.float64))
    torch.testing.assert_close(layer.weight.detach(), wanted, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    "build",
    [lambda: nn.Conv2d(2, 2, 3, padding=1), lambda: nn.Sequential(nn.Conv2d(2, 2, 3, padding=1), batch_norm(2))],
)
def test_convolutions_and_composites_come_down(build):
    torch.manual_seed(0)
    module = enlarged(build(), 2).double().eval()
    top = float(values(module, (2, 5, 5))[0])
    clip_by_cutting_planes_(module, (2, 5, 5), 0.8 * top)
    assert values(module, (2, 5, 5))[0] <= 0.8 * top * (1 + 4e-3)
