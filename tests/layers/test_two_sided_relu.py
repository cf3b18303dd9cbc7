"""Two-sided ReLU keeps norms, does not stretch distances, and widens what only some models have room for."""

import pytest
import torch
from torch import nn

from onelip import layers, models
from onelip.bounds import lipschitz_bound
from onelip.certify import certify, relaxed_margins, verify
from onelip.layers import TwoSidedReLU


@pytest.mark.parametrize("shape", [(4,), (3, 5), (2, 4, 4)])
def test_parts_lie_side_by_side_and_keep_the_norm(shape):
    layer, x, y = TwoSidedReLU(), torch.randn(6, *shape), torch.randn(6, *shape)
    parts = layer(x).chunk(2, 1)
    assert torch.equal(parts[0], x.clamp(min=0))
    assert torch.equal(parts[1], (-x).clamp(min=0))
    torch.testing.assert_close(layer(x).flatten(1).norm(dim=1), x.flatten(1).norm(dim=1))
    assert bool(((layer(x) - layer(y)).flatten(1).norm(dim=1) <= (x - y).flatten(1).norm(dim=1) * (1 + 1e-6)).all())
    for norm in ("l2", "linf"):
        assert lipschitz_bound(nn.Sequential(layer), shape, norm=norm).value == 1.0


def test_channels():
    layer = layers.activation("two-sided-relu", 3)
    assert layer.output_channels(3) == 6  # type: ignore[operator]
    with pytest.raises(ValueError, match="input with 4 channels in TwoSidedReLU must have channels=3"):
        layer(torch.rand(2, 4))
    with pytest.raises(ValueError, match=r"activation=.two-sided-relu. gives 16 channels for 8, which this model"):
        models.build("mlp", input_shape=(1, 2, 2), n_classes=2, widths=[8], activation="two-sided-relu")


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_certificates_hold_it(norm, tmp_path):
    model = nn.Sequential(nn.Conv2d(1, 2, 3), TwoSidedReLU(), nn.Flatten(), nn.Linear(16, 3), TwoSidedReLU())
    model.append(nn.Linear(6, 3))
    images = torch.rand(5, 1, 4, 4)
    certificate = certify(model.eval(), images, model(images).argmax(1), norm=norm)
    certificate.save(tmp_path)
    assert verify(tmp_path).ok
    if norm == "l2":
        own = relaxed_margins(certificate.network, images, model(images).argmax(1), 0.0)
        assert bool((own.amin(1) > -1e-6).all())
