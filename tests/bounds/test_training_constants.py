"""Estimated constants of pairs of logits against proved ones, dense singular values and their gradients."""

import math

import pytest
import torch
from torch import nn

from onelip import layers, lipschitz_bound, losses, models
from onelip.bounds import UnknownLipschitzConstant, training_constants
from onelip.bounds.dense_head import dense_head
from onelip.certify import pair_slopes

ROOT = math.sqrt(2)


def off_diagonal(n):
    return 1 - torch.eye(n)


def spectral(weight):
    return torch.linalg.matrix_norm(weight.detach().double(), 2).item()


class Gauge(nn.Linear):
    """A layer of any norm that says what it is."""

    def norm_estimate(self):
        # By way of a product, which autocast would round.
        return torch.linalg.matrix_norm(self.weight @ self.weight.T, 2).sqrt()


def trained(model, steps=3):
    """The model after a few steps away from its special first weights."""
    inputs, labels = torch.randn(32, 8), torch.arange(32) % 3
    optimizer = torch.optim.SGD(model.parameters(), lr=0.3)
    for _ in range(steps):
        optimizer.zero_grad()
        losses.build("emma", radius=0.5)(model(inputs), labels, training_constants(model)).backward()
        optimizer.step()
    return model


@pytest.mark.parametrize("head", [layers.UnitNormLinear, layers.AOLLinear, layers.CholeskyLinear, nn.Linear])
@pytest.mark.parametrize("scale", [1.0, 3.0])
def test_it_estimates_what_is_proved_of_trained_networks(head, scale):
    model = trained(
        nn.Sequential(layers.AOLLinear(8, 12), layers.MaxMin(), layers.Scale(scale), nn.Sequential(head(12, 3)))
    )
    found = training_constants(model)
    rows = dense_head([model[3][0]]).rows().detach()
    # AOL layers count 1, the most that they can be.
    proved = pair_slopes(scale, 3, rows)
    torch.testing.assert_close(found.detach().double(), proved, rtol=3e-4, atol=1e-6)
    assert torch.equal(found, found.T)
    assert found.diagonal().tolist() == [0.0, 0.0, 0.0]


def test_the_estimate_is_not_below_what_inputs_show():
    model = trained(nn.Sequential(nn.Linear(8, 10), nn.ReLU(), layers.AOLLinear(10, 6), nn.Linear(6, 3)))
    x = torch.randn(200, 8, requires_grad=True)
    z, constants = model(x), training_constants(model)
    for i, j in ((0, 1), (0, 2), (1, 2)):
        (slope,) = torch.autograd.grad((z[:, i] - z[:, j]).sum(), x, retain_graph=True)
        assert float(slope.norm(dim=1).max()) <= constants[i, j] * (1 + 1e-5)


def test_torchs_layers_count_their_norm():
    conv = nn.Conv2d(2, 3, 3, stride=2, padding=1, bias=False)
    norm = nn.BatchNorm2d(3)
    norm.running_var.copy_(torch.tensor([4.0, 0.25, 1.0]))
    norm.weight.data = torch.tensor([8.0, -3.0, 1.0])
    parts = [conv, norm, nn.ReLU(), nn.MaxPool2d(2), nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.LeakyReLU(-2.0)]
    dense = nn.Linear(3, 3)
    found = training_constants(nn.Sequential(*parts, dense, layers.MaxMin()))
    # -3 / sqrt(1/4) is the largest factor, and a slope of 2 follows.
    expected = spectral(dense.weight) * 6 * 2 * ROOT * lipschitz_bound(conv, (2, 64, 64)).value
    assert found[0, 1].item() == pytest.approx(expected, rel=0.05)
    assert found[0, 1].item() >= expected * 0.999


def test_gradients_reach_the_head_and_layers_that_say_their_norm():
    gauge, head = Gauge(8, 6), layers.UnitNormLinear(6, 4)
    training_constants(nn.Sequential(gauge, layers.MaxMin(), head)).square().sum().backward()
    # d sigma_1 / dW = u v^T, and sum of all squares = sigma^2 sum ||w_i - w_j||^2.
    u, s, vh = torch.linalg.svd(gauge.weight.detach())
    rows = head.weight.detach()
    total = torch.cdist(rows, rows).square().sum()
    expected = 2 * s[0] * total * u[:, :1] * vh[:1]
    torch.testing.assert_close(gauge.weight.grad, expected, rtol=1e-4, atol=1e-4)
    assert float(head.raw_weight.grad.abs().sum()) > 0


def test_the_gradient_of_the_head_is_right_with_equal_rows_and_many_classes():
    torch.manual_seed(1)
    head = nn.Linear(5, 30, dtype=torch.float64)
    head.weight.data[1] = head.weight.data[0]
    training_constants(nn.Sequential(head)).sum().backward()
    rows = head.weight.detach().clone()
    differences = rows[:, None] - rows
    lengths = differences.norm(dim=2)
    # d/dw_i of the sum over pairs of ||w_i - w_j||, each counted twice; 0 for the equal rows.
    expected = 2 * torch.where(lengths[..., None] > 1e-6, differences / lengths[..., None], 0.0).sum(1)
    assert bool(torch.isfinite(head.weight.grad).all())
    torch.testing.assert_close(head.weight.grad[2:], expected[2:], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("model", "n"),
    [
        (nn.Sequential(nn.Flatten(), layers.CholeskyLinear(8, 3)), 3),
        (nn.Sequential(layers.BjorckLinear(8, 8), layers.ChannelKeep(3)), 3),
        (nn.Sequential(layers.SLLLinear(8, 8), layers.ChannelKeep(4)), 4),
        (nn.Sequential(layers.CholeskyLinear(8, 4), layers.MaxMin()), 4),
        (layers.CholeskyLinear(8, 3), 3),
    ],
)
def test_short_ends_give_root_two(model, n):
    assert torch.equal(training_constants(model), ROOT * off_diagonal(n))


def test_normalisation_skip_connections_and_sums_count():
    branch = nn.Sequential(layers.CholeskyLinear(4, 4), layers.Scale(3.0))
    for part, constant in [
        (layers.Normalize([0.5], [0.25]), 4.0),
        (layers.Scale(-0.5), 0.5),
        (layers.Sum(nn.Identity(), branch), 4.0),
        (layers.ConcatResidual(branch), 3.0),
        (layers.PrescaledResidual(branch, init=1.0), 2.0),
        (layers.PrescaledResidual(layers.CholeskyLinear(4, 4)), 1.0),
        (layers.ConvexResidual(nn.Identity(), branch), 2.0),
        (layers.ConvexResidual(nn.Identity(), layers.MaxMin()), 1.0),
        (layers.BatchLipNorm(4, constant=0.125), 0.125),
    ]:
        found = training_constants(nn.Sequential(part, layers.CholeskyLinear(4, 2)))
        torch.testing.assert_close(found, constant * ROOT * off_diagonal(2), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (layers.UnitNormLinear(6, 5), (6,)),
        (layers.LInfLinear(6, 5), (6,)),
        (layers.LInfConv2d(2, 4, 3, stride=2, padding=1), (2, 32, 32)),
        (layers.BatchLipNorm(3, constant=5.0), (3,)),
        (layers.Normalize([0.5, 0.1], [0.25, 2.0]), (2, 3, 3)),
        (layers.Scale(-3.0), (4,)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_norm_estimates_of_layers_that_may_stretch(layer, shape):
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.add_(torch.randn_like(parameter))
        for name, buffer in layer.named_buffers():
            if name == "running_var":
                buffer.copy_(torch.tensor([0.1, 0.5, 0.3]))
    # Gram iteration and the proof are each within a few per cent of the norm.
    assert float(layer.norm_estimate().detach()) == pytest.approx(layer.lipschitz_bound(shape).value, rel=0.05)


@pytest.mark.parametrize("name", ["convnet-xs", "lconvnet-small"])
def test_networks_by_name_are_understood(name):
    model = models.build(name, input_shape=(3, 32, 32), n_classes=10, layer="aol", std=(0.5, 0.25, 0.5))
    found = training_constants(model).detach()
    assert found.shape == (10, 10)
    assert 0 < float(found.max()) <= 4 * ROOT * (1 + 1e-4)


def test_the_diagonal_is_zero_however_long_the_rows():
    # Distances of more than 25 rows come from products, with rounding of the size of the squares.
    model = nn.Sequential(nn.Linear(8, 40))
    model[0].weight.data += 1000.0
    found = training_constants(model).detach()
    assert found.diagonal().tolist() == [0.0] * 40
    assert torch.equal(found, found.T)


def test_autocast_leaves_it_alone():
    model = nn.Sequential(Gauge(8, 8), nn.Linear(8, 8), layers.AOLLinear(8, 40))
    expected = training_constants(model)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(training_constants(model), expected)


class Custom(nn.Module):
    def forward(self, x):
        return 5 * x


@pytest.mark.parametrize(
    ("part", "sentence"),
    [
        (Custom(), "Custom at '0.1' has no known Lipschitz constant: training_constants looks into nn.Sequential"),
        (nn.AvgPool2d(2), "AvgPool2d at '0.1'.* depends on the size of the image"),
        (nn.MaxPool2d(3, stride=2), "MaxPool2d at '0.1'.* depends on the size of the image"),
        (nn.LayerNorm(4), "LayerNorm at '0.1'.* the sample's own standard deviation"),
    ],
)
def test_what_is_not_known_is_refused_by_name(part, sentence):
    with pytest.raises(UnknownLipschitzConstant, match=sentence):
        training_constants(nn.Sequential(nn.Sequential(nn.ReLU(), part), nn.Linear(4, 2)))


def test_the_number_of_logits():
    assert torch.equal(training_constants(nn.Sequential(nn.ReLU()), 3), ROOT * off_diagonal(3))
    with pytest.raises(ValueError, match="n_classes=None in training_constants, and no layer says"):
        training_constants(nn.Sequential(nn.ReLU()))
    with pytest.raises(ValueError, match="n_classes=5 in training_constants, but the model has 2 logits"):
        training_constants(nn.Linear(4, 2), 5)
