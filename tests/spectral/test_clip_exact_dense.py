import pytest
import torch
from tests.spectral.clipping import Sum, enlarged, values
from torch import nn

from onelip.spectral.clip_exact_dense import clip_exact_dense_


def test_a_dense_layer_is_clipped_in_its_singular_values():
    layer = enlarged(nn.Linear(5, 7), 3).double()
    u, s, vh = torch.linalg.svd(layer.weight.detach(), full_matrices=False)
    clip_exact_dense_(layer, (5,), 0.8)
    torch.testing.assert_close(layer.weight.detach(), (u * s.clamp(max=0.8)) @ vh, rtol=0, atol=1e-10)


@pytest.mark.parametrize("build", [nn.Identity, lambda: Sum(nn.Identity())], ids=["layer", "skip"])
def test_the_bound_holds(build):
    torch.manual_seed(0)
    conv = enlarged(nn.Conv2d(2, 2, 3, padding=1), 3).double()
    module = conv if build is nn.Identity else Sum(conv)
    clip_exact_dense_(module, (2, 4, 4), 0.6)
    assert values(module, (2, 4, 4))[0] <= 0.6 * (1 + 1e-9)
