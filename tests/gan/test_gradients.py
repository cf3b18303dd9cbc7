"""The gradient penalty against closed forms, and double backward through every method."""

import pytest
import torch
from torch import nn

from onelip import layers, models
from onelip.gan import gradient_penalty, input_gradient_norms, interpolates


def linear(weight):
    critic = nn.Linear(len(weight), 1).double()
    with torch.no_grad():
        critic.weight.copy_(torch.tensor([weight]))
    return critic


def test_the_penalty_of_a_linear_critic_is_known():
    critic = linear([3.0, 4.0])
    x = torch.randn(6, 2, dtype=torch.float64)
    assert input_gradient_norms(critic, x).tolist() == pytest.approx([5.0] * 6)
    penalty = gradient_penalty(critic, x)
    assert float(penalty.detach()) == pytest.approx((5 - 1) ** 2)
    penalty.backward()
    # The gradient of (|w| - 1)^2 is 2 (|w| - 1) w / |w|.
    assert critic.weight.grad.tolist()[0] == pytest.approx([2 * 4 * 3 / 5, 2 * 4 * 4 / 5])


def test_norms_are_those_of_the_rows_of_the_jacobian():
    torch.manual_seed(0)
    critic = nn.Sequential(nn.Flatten(), nn.Linear(8, 6), nn.Tanh(), nn.Linear(6, 1)).double()
    x = torch.randn(5, 2, 2, 2, dtype=torch.float64)
    rows = torch.stack([torch.autograd.functional.jacobian(critic, point[None]).flatten() for point in x])
    assert torch.allclose(input_gradient_norms(critic, x), rows.norm(dim=1))


def test_a_point_of_its_own_is_drawn_on_each_segment():
    real, generated = torch.randn(200, 3, 2), torch.randn(200, 3, 2)
    points = interpolates(real, generated, torch.Generator().manual_seed(0))
    places = ((points - real) / (generated - real)).flatten(1)
    assert torch.allclose(places, places[:, :1].expand_as(places), atol=1e-3)
    assert float(places.min()) > -1e-3
    assert float(places.max()) < 1 + 1e-3
    assert float(places[:, 0].std()) == pytest.approx(12**-0.5, abs=0.04)
    with pytest.raises(ValueError, match=r"real of shape \(200, 3, 2\) and generated of shape \(2, 3\)"):
        interpolates(real, real[0, None, :, 0].expand(2, 3), torch.Generator())


def by_differences(critic, parameter, direction, x, step=1e-6):
    values = []
    for sign in (1, -1):
        with torch.no_grad():
            parameter.add_(sign * step * direction)
        values.append(float(gradient_penalty(critic, x).detach()))
        with torch.no_grad():
            parameter.sub_(sign * step * direction)
    return (values[0] - values[1]) / (2 * step)


@pytest.mark.parametrize("layer", ["plain", *layers.available("linear")])
def test_the_penalty_is_differentiated_through_every_dense_method(layer):
    torch.manual_seed(0)
    options = {"layer": layer, "activation": "soft-huber", "widths": [4]}
    critic = models.build("mlp", input_shape=(1, 2, 2), n_classes=1, **options).double()
    critic(torch.rand(2, 1, 2, 2, dtype=torch.float64))
    x = torch.randn(3, 1, 2, 2, dtype=torch.float64)
    parameter = next(p for p in critic.get_submodule("dense1").parameters() if p.dim() > 1)
    with torch.no_grad():
        # Away from orthogonal weights, where norms and absolute values of products have no derivative.
        parameter.add_(0.3 * torch.randn_like(parameter))
    (gradient,) = torch.autograd.grad(gradient_penalty(critic, x), parameter)
    direction = torch.randn_like(parameter)
    expected = by_differences(critic, parameter, direction, x)
    assert float((gradient * direction).sum()) == pytest.approx(expected, rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("name", ["dcgan-critic", "infogan-critic"])
def test_plain_critics_learn_from_the_penalty(name):
    torch.manual_seed(0)
    critic = models.build(name, input_shape=(1, 8, 8), n_classes=1, layer="plain", activation="leaky-relu")
    gradient_penalty(critic, torch.rand(4, 1, 8, 8)).backward()
    assert all(bool(p.grad.abs().sum() > 0) for n, p in critic.named_parameters() if n.endswith("weight"))
