"""Dense layers on patches: what they compute, their norm, and their plain form."""

import pytest
import torch
from tests.layers.dense import singular_values
from torch import nn

from onelip.layers import AOLLinear, CholeskyLinear, PatchMap2d


@pytest.mark.parametrize("linear", [CholeskyLinear, AOLLinear, nn.Linear])
@pytest.mark.parametrize(("channels", "out"), [(2, 4), (1, 9)])
def test_patches_are_mapped_one_by_one(linear, channels, out):
    layer = PatchMap2d(linear(4 * channels, out, dtype=torch.float64), 2)
    x = torch.randn(3, channels, 4, 6, dtype=torch.float64)
    patches = nn.functional.unfold(x, 2, stride=2).mT
    expected = layer.linear(patches).mT.unflatten(2, (2, 3))
    torch.testing.assert_close(layer(x), expected)
    torch.testing.assert_close(layer.eval()(x), expected)
    torch.testing.assert_close(layer.to_plain()(x), expected)
    norm = float(singular_values(layer, (channels, 4, 6))[0])
    bound = layer.lipschitz_bound()
    assert bound.proved
    assert norm * (1 - 1e-12) <= bound.value <= 1.01 * norm
    assert layer.orthogonal is (linear is CholeskyLinear)


def test_refused():
    with pytest.raises(ValueError, match="patch=3 in PatchMap2d has 9 pixels, which do not divide the in_features=8"):
        PatchMap2d(nn.Linear(8, 4), 3)
    with pytest.raises(ValueError, match="linear=Identity in PatchMap2d"):
        PatchMap2d(nn.Identity(), 2)
    with pytest.raises(ValueError, match="patch=2 in PatchMap2d does not divide the image 4x5"):
        PatchMap2d(nn.Linear(8, 4), 2)(torch.zeros(1, 2, 4, 5))
    assert "patch=2" in repr(PatchMap2d(nn.Linear(8, 4), 2))
