"""The fast LipNeXt block: the explicit convolution of the same matrices, its norm, its states and its certificate."""

import copy

import pytest
import torch
from tests.layers.dense import singular_values, train
from torch import nn

from onelip.certify import certify, verify
from onelip.layers import AOLLinear, CholeskyLinear, LipNeXtBlock2d, LipNeXtConv2d, MaxMin


def block(channels=8, linear=CholeskyLinear, dtype=torch.float64, **options):
    rotation, mixing = (linear(channels, channels, bias=False, dtype=dtype) for _ in range(2))
    return LipNeXtBlock2d(rotation, mixing, dtype=dtype, **options)


@pytest.mark.parametrize("ratio", [0.125, 0.25, 0.0625])
def test_it_is_the_explicit_convolution_and_a_matrix(ratio):
    fast = block(shift_ratio=ratio, image_size=(3, 4))
    explicit = LipNeXtConv2d(
        8, 8, 3, padding=1, padding_mode="circular", dtype=torch.float64, shift_ratio=ratio, image_size=(3, 4)
    )
    with torch.no_grad():
        fast.positions.code.normal_()
        explicit.positions.code.copy_(fast.positions.code)
        explicit.raw_rotation.copy_(fast.rotation.weight[None])
        explicit.raw_weight.copy_(torch.eye(8)[None])
        explicit.bias.zero_()
    x = torch.randn(2, 8, 3, 4, dtype=torch.float64)
    expected = torch.einsum("oi,nihw->nohw", fast.mixing.weight, explicit(x)) + fast.bias[:, None, None]
    torch.testing.assert_close(fast(x), expected)
    torch.testing.assert_close(fast.eval()(x), expected)
    torch.testing.assert_close(fast.to_plain()(x), expected)


@pytest.mark.parametrize("linear", [CholeskyLinear, AOLLinear, nn.Linear])
def test_norm(linear):
    layer = block(4, linear)
    train(layer, torch.randn(2, 4, 3, 5, dtype=torch.float64), 3, 0.1)
    values, bound = singular_values(layer, (4, 3, 5)), layer.lipschitz_bound()
    assert bound.proved
    assert float(values[0]) <= bound.value
    # Shifts are between the matrices, so that the norm may be less than their product.
    norms = [float(torch.linalg.matrix_norm(m, 2)) for m in layer.frozen_matrices()]
    assert bound.value <= 1.01 * norms[0] * norms[1]
    if linear is CholeskyLinear:
        assert layer.orthogonal
        assert float((values - 1).abs().max()) < 1e-10
        assert bound.value <= 1 + 1e-10


def test_states():
    layer = block(6, dtype=torch.float32, image_size=2)
    x = torch.randn(3, 6, 2, 2)
    assert set(layer.state_dict()) == {"bias", "positions.code", "rotation.raw_weight", "mixing.raw_weight"}
    before = layer.eval()(x)
    torch.testing.assert_close(layer.train()(x), before, rtol=0, atol=1e-5)
    with torch.no_grad():
        layer.eval()
        assert layer.matrices()[1] is layer.matrices()[1]
        layer.rotation.raw_weight[0] += 1.0
        assert not torch.equal(layer(x), before)
    fresh = block(6, dtype=torch.float32, image_size=2)
    fresh.load_state_dict(layer.state_dict(), strict=True)
    assert torch.equal(fresh.eval()(x), layer(x))
    assert torch.equal(copy.deepcopy(layer)(x), layer(x))
    layer.train()(x).sum().backward()
    assert all(p.grad is not None and bool(p.grad.isfinite().all()) for p in layer.parameters())
    with torch.autocast("cpu", torch.bfloat16):
        assert layer.matrices()[1].dtype == torch.float32
        assert layer(x).dtype == torch.bfloat16


def test_it_can_be_certified(tmp_path):
    torch.manual_seed(0)
    layers = [block(6, dtype=torch.float32, image_size=3), MaxMin(), nn.Flatten(), nn.Linear(54, 4)]
    model = nn.Sequential(*layers).eval()
    x = torch.rand(2, 6, 3, 3)
    with torch.no_grad():
        labels = model(x).argmax(1)
    certificate = certify(model, x, labels)
    assert certificate.proved
    assert (certificate.radii > 0).all()
    outcome = verify(certificate.save(tmp_path))
    assert outcome.ok, str(outcome)


@pytest.mark.parametrize(
    ("rotation", "mixing", "sentence"),
    [
        (nn.Linear(4, 4), nn.Linear(4, 4, bias=False), "rotation=.* in LipNeXtBlock2d must be square and have bias"),
        (nn.Linear(4, 5, bias=False), nn.Linear(4, 4, bias=False), "rotation=.* must be square"),
        (nn.Linear(4, 4, bias=False), nn.Linear(5, 5, bias=False), "mixing=Linear .* has in_features=5, where 4"),
        (nn.Identity(), nn.Linear(5, 5, bias=False), "rotation=Identity in LipNeXtBlock2d must be a dense layer"),
    ],
)
def test_refused(rotation, mixing, sentence):
    with pytest.raises(ValueError, match=sentence):
        LipNeXtBlock2d(rotation, mixing)
