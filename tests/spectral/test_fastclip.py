import pytest
import torch
from tests.spectral.clipping import enlarged, values
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


@pytest.mark.parametrize(("mode", "max_norm"), [("zeros", 0.5), ("zeros", 1.1), ("replicate", 1.0)])
def test_large_convolutions_come_down(mode, max_norm):
    torch.manual_seed(0)
    conv = nn.Conv2d(8, 8, 3, padding=1, padding_mode=mode)
    before = singular_values(conv, (8, 12, 12), 4).values
    start = conv.weight.detach().clone()
    fastclip_(conv, (8, 12, 12), max_norm)
    # What `clip_` divides off may be left.
    assert values(conv, (8, 12, 12))[0] <= max_norm * 1.006
    assert before[0] > max_norm
    assert (conv.weight.detach() - start).norm() < start.norm() * float(1 - 0.8 * max_norm / before[0])
