import pytest
import torch
from torch import nn

from onelip import layers as L
from onelip.certify.export import freeze
from onelip.certify.export_modules import module_operation, supported_modules
from onelip.certify.forward import evaluate


def test_changed_forward_is_not_trusted():
    class Louder(nn.ReLU):
        def forward(self, x):
            return 2 * x

    assert module_operation(nn.ReLU(), (2,), (2,)).op == "relu"
    assert module_operation(Louder(), (2,), (2,)) is None
    assert "Conv2d" in supported_modules()


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.Conv1d(2, 4, 3, 2, 1, padding_mode="replicate"), (2, 7)),
        (nn.Conv1d(4, 2, 4, padding="same", groups=2, padding_mode="circular"), (4, 5)),
        (L.AdaptiveSOCConv2d(2, 2, 5, padding=2, padding_mode="circular").to_plain(), (2, 3, 4)),
        (L.ECOConv2d(2, 2, 3, padding=1, padding_mode="circular").to_plain(), (2, 5, 7)),
        (L.ECOConv2d(2, 4, 3, 2, padding=1, padding_mode="circular").to_plain(), (2, 6, 12)),
    ],
    ids=str,
)
def test_convolutions_compute_what_torch_computes(layer, shape):
    layer = layer.double().eval()
    x = torch.randn(3, *shape, dtype=torch.float64)
    y, error = evaluate(freeze(nn.Sequential(layer), shape).network, x)
    with torch.no_grad():
        off = (y - layer(x)).flatten(1).norm(dim=1)
    assert bool((off <= 2 * error).all())
    assert float(error.max()) < 1e-10
