import torch
from tests.spectral.clipping import batch_norm, matrix
from torch import nn

from onelip.layers import AOCConv2d
from onelip.spectral.weighted_map import WeightedMap, clippable_weights


def test_weights_are_those_of_layers_and_scales_only_where_there_is_nothing_else():
    shared = nn.Linear(2, 2)
    model = nn.Sequential(nn.Conv2d(2, 2, 1), batch_norm(2), shared, shared)
    assert list(clippable_weights(model)) == ["0.weight", "2.weight"]
    assert list(clippable_weights(batch_norm(2))) == ["weight"]
    assert not clippable_weights(AOCConv2d(2, 2, 3, padding=1, padding_mode="circular"))


def test_it_is_the_matrix_of_the_module_and_its_gradient():
    conv = nn.Conv2d(2, 2, 3, padding=1).double()
    module = nn.Sequential(conv, batch_norm(2).double(), conv).eval()
    map_ = WeightedMap(module, (2, 3, 3))
    torch.testing.assert_close(map_.matrix(map_.start), matrix(module, (2, 3, 3)))
    left, right = torch.randn(2, 4, 18, dtype=torch.float64)
    direction = torch.randn_like(map_.start)
    ahead, behind = (map_.matrix(map_.start + t * direction) for t in (1e-5, -1e-5))
    slope = (left @ (ahead - behind) * right).sum() / 2e-5
    torch.testing.assert_close(map_.pull(map_.start, left, right) @ direction, slope, rtol=1e-6, atol=1e-8)
    # Named twice, it is still one weight, and the module's own again afterwards.
    assert isinstance(conv.weight, nn.Parameter)
    assert not map_.is_affine_in_weights()
    assert not map_.homogeneous()


def test_it_knows_what_it_is_proportional_to():
    module = nn.Sequential(nn.Conv2d(2, 2, 3), nn.Flatten(), nn.Linear(2, 3)).double()
    map_ = WeightedMap(module, (2, 3, 3))
    assert map_.homogeneous() == ("0.weight", "2.weight")
    assert not map_.is_affine_in_weights()
    assert WeightedMap(nn.Linear(3, 2), (3,)).is_affine_in_weights()


def test_written_weights_arrive():
    module = nn.Linear(3, 2)
    map_ = WeightedMap(module, (3,))
    map_.write_(map_.start + 1)
    assert torch.equal(module.weight.detach().reshape(-1), map_.start + 1)
