"""The regularised convolution: torch's own, with a norm that is told from above, tightly and with its gradient."""

import pytest
import torch
from tests.layers.dense import singular_values
from torch import nn

from onelip.layers import RegularizedConv2d

CASES = [
    {"kernel_size": 5, "stride": 2, "padding": 2},
    {"kernel_size": 3, "stride": 3},
    {"kernel_size": 3, "padding": 1, "padding_mode": "circular"},
    {"kernel_size": (1, 3), "padding": (0, 2), "dilation": 2, "groups": 2, "bias": False},
]


def perturbed(**options):
    layer = RegularizedConv2d(2, 6, **options, dtype=torch.float64)
    with torch.no_grad():
        layer.raw_weight += 0.5 * torch.randn_like(layer.raw_weight)
    return layer


@pytest.mark.parametrize("options", CASES, ids=str)
def test_it_is_torchs_convolution(options):
    layer = perturbed(**options)
    namesake = nn.Conv2d(2, 6, **options, dtype=torch.float64)
    state = {k.replace("raw_", ""): v for k, v in layer.state_dict().items()}
    namesake.load_state_dict(state)
    x = torch.randn(2, 2, 9, 6, dtype=torch.float64)
    for training in (True, False):
        assert torch.equal(layer.train(training)(x), namesake(x))
    assert torch.equal(layer.to_plain()(x), namesake(x))


@pytest.mark.parametrize("options", CASES, ids=str)
def test_both_norms_are_upper_and_tight(options):
    layer = perturbed(**options)
    true = float(singular_values(layer, (2, 12, 12))[0])
    bound, estimate = layer.lipschitz_bound(), float(layer.norm_estimate().detach())
    assert bound.proved
    # They hold for every image size, and the norm grows with it.
    assert true * (1 - 1e-12) <= bound.value <= 1.1 * true
    assert true * (1 - 1e-12) <= estimate <= 1.1 * true


def test_the_gradient_is_that_of_the_norm():
    # Patches do not overlap, so the norm is that of a matrix.
    layer = perturbed(kernel_size=3, stride=3)
    layer.norm_estimate().backward()
    left, values, right = torch.linalg.svd(layer.raw_weight.detach().flatten(1), full_matrices=False)
    assert layer.raw_weight.grad is not None
    torch.testing.assert_close(layer.raw_weight.grad.flatten(1), torch.outer(left[:, 0], right[0]), rtol=0, atol=1e-6)
    assert float(layer.norm_estimate().detach()) == pytest.approx(float(values[0]), rel=0.01)
    loose = float(RegularizedConv2d(2, 6, 3, 3, n_iter=1).norm_estimate().detach())
    assert loose >= 1 - 1e-6


def test_it_starts_with_orthonormal_columns_and_can_be_longer_than_1():
    matrix = RegularizedConv2d(3, 90, 5, 2, 2).raw_weight.detach().flatten(1)
    torch.testing.assert_close(matrix.T @ matrix, torch.eye(75), rtol=0, atol=1e-5)
    layer = RegularizedConv2d(3, 4, 3)
    layer.weight = 10 * torch.ones(4, 3, 3, 3)
    assert torch.equal(layer.weight, torch.full((4, 3, 3, 3), 10.0))
    assert layer.lipschitz_bound().value > 10


def test_a_loss_can_shrink_it():
    layer = RegularizedConv2d(3, 8, 5, 2, 2)
    optimizer = torch.optim.SGD(layer.parameters(), 0.2)
    before = layer.lipschitz_bound().value
    for _ in range(10):
        optimizer.zero_grad()
        layer.norm_estimate().backward()
        optimizer.step()
    assert layer.lipschitz_bound().value < 0.7 * before


@pytest.mark.parametrize("n_iter", [0, 2.0])
def test_refused(n_iter):
    with pytest.raises(ValueError, match=f"n_iter={n_iter} in RegularizedConv2d"):
        RegularizedConv2d(3, 4, 3, n_iter=n_iter)
