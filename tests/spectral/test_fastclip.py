import pytest
import torch
from tests.spectral.clipping import batch_norm, enlarged, values
from torch import nn

from onelip.spectral.fastclip import fastclip_
from onelip.spectral.singular_values import singular_values


@pytest.mark.parametrize(
    ("module", "shape"),
    [
        (nn.Linear(5, 4), (3, 5)),
        (nn.Conv2d(4, 6, 2, stride=2, groups=2), (4, 5, 5)),
        (nn.ConvTranspose1d(4, 3, 2, stride=3), (4, 4)),
        (nn.Sequential(nn.Conv2d(3, 3, 1)), (3, 2, 2)),
    ],
)
def test_maps_that_are_matrices_keep_what_is_below(module, shape):
    module = enlarged(module, 3).double()
    before = values(module, shape)
    fastclip_(module, shape, 0.6)
    torch.testing.assert_close(values(module, shape), before.clamp(max=0.6))


@pytest.mark.parametrize(("mode", "max_norm"), [("zeros", 0.5), ("circular", 1.0), ("replicate", 1.1)])
def test_large_convolutions_come_down(mode, max_norm):
    torch.manual_seed(0)
    conv = nn.Conv2d(6, 6, 3, padding=1, padding_mode=mode)
    before = singular_values(conv, (6, 10, 10), 4).values
    start = conv.weight.detach().clone()
    fastclip_(conv, (6, 10, 10), max_norm)
    # What `clip_` divides off may be left.
    assert values(conv, (6, 10, 10))[0] <= max_norm * 1.006
    assert before[0] > max_norm
    assert (conv.weight.detach() - start).norm() < start.norm() * float(1 - 0.8 * max_norm / before[0])


@pytest.mark.parametrize("layer", [nn.Conv2d(6, 6, 3, padding=1), nn.Linear(600, 500)], ids=["conv", "dense"])
def test_a_large_layer_and_its_batch_normalisation_are_one(layer):
    torch.manual_seed(0)
    shape = (6, 10, 10) if isinstance(layer, nn.Conv2d) else (600,)
    norm = batch_norm(6) if isinstance(layer, nn.Conv2d) else nn.BatchNorm1d(500)
    with torch.no_grad():
        norm.weight[0] = 0.0
    module = nn.Sequential(layer, norm).eval()
    before, start = values(module, shape), layer.weight.detach().clone()
    row, gamma = layer.weight[0].detach().clone(), norm.weight.detach().clone()
    fastclip_(module, shape, 0.4)
    assert 0.4 * 0.97 <= values(module, shape)[0] <= 0.4 * 1.006
    gains = (norm.weight / (norm.running_var + norm.eps).sqrt()).detach().reshape(-1, *[1] * (start.dim() - 1))
    move = (gains * (layer.weight.detach() - start)).norm()
    assert move < (gains * start).norm() * float(1 - 0.8 * 0.4 / before[0])
    # The normalisation hides it.
    assert torch.equal(layer.weight[0], row)
    assert torch.equal(norm.weight, gamma)
