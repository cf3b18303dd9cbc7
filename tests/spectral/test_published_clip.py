"""One published clipping step, against its formulas."""

import pytest
import torch
from tests.spectral.dense_values import dense_values
from torch import nn

from onelip.spectral.published_clip import published_clip_


def test_a_dense_layer_keeps_the_published_share_of_the_excess():
    # (1 - 2 * 0.35)^5 of it.
    layer = nn.Linear(5, 4)
    u, v = torch.linalg.qr(torch.randn(4, 4))[0], torch.linalg.qr(torch.randn(5, 5))[0]
    with torch.no_grad():
        layer.weight.copy_(u @ torch.diag(torch.tensor([6.0, 1.2, 0.7, 0.1])) @ v[:4])
    done = published_clip_(layer, (5,), 1.0)
    assert done.before == pytest.approx(6.0, rel=1e-5)
    assert done.after == pytest.approx(1.0 + 0.3**5 * 5.0, rel=1e-4)
    expected = torch.tensor([1.2, done.after, 0.7, 0.1], dtype=torch.float64).sort(descending=True)[0]
    torch.testing.assert_close(dense_values(layer, (5,)), expected, rtol=1e-3, atol=1e-4)


def test_a_convolution_takes_gradient_steps_divided_by_the_width():
    torch.manual_seed(0)
    conv = nn.Conv2d(3, 6, 3, padding=1)
    with torch.no_grad():
        conv.weight.mul_(6.0)
    start = torch.randn(1, 3, 8, 8)
    v = start.clone()
    for _ in range(10):
        x = v.clone().requires_grad_()
        linear = nn.functional.conv2d(x, conv.weight.detach(), padding=1)
        (gradient,) = torch.autograd.grad(linear.square().sum() / 2, x)
        v = (v + gradient) / (v + gradient).norm()
    image = nn.functional.conv2d(v, conv.weight.detach(), padding=1)
    weight = conv.weight.detach().clone()
    for _ in range(5):
        weight = weight.requires_grad_()
        loss = (nn.functional.conv2d(v, weight, padding=1) - image / image.norm()).square().sum((1, 2)).mean()
        weight = (weight - 0.35 * torch.autograd.grad(loss, weight)[0]).detach()
    done = published_clip_(conv, (3, 8, 8), 1.0, start)
    torch.testing.assert_close(conv.weight.detach(), weight, rtol=1e-3, atol=1e-5)
    torch.testing.assert_close(done.right, v, rtol=1e-3, atol=1e-4)


def test_what_is_below_is_not_pulled_up_and_statistics_stay():
    torch.manual_seed(0)
    joint = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).train()
    kept = {name: tensor.clone() for name, tensor in joint.state_dict().items()}
    assert published_clip_(joint, (3, 6, 6), 100.0).n_rounds == 0
    assert all(torch.equal(tensor, kept[name]) for name, tensor in joint.state_dict().items())
    assert published_clip_(joint, (3, 6, 6), 0.1).n_rounds == 1
    assert [name for name, tensor in joint.state_dict().items() if not torch.equal(tensor, kept[name])] == ["0.weight"]
    assert joint[1].training
