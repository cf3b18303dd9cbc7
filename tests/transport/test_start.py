"""Biases before a training."""

import pytest
import torch
from torch import nn

from onelip import layers
from onelip.transport import center_biases_


def _outputs(critic, x):
    means = []
    handles = [
        m.register_forward_hook(lambda m, i, o: means.append(o.transpose(0, 1).flatten(1).mean(1).abs().max().item()))
        for m in critic.modules()
        if getattr(m, "bias", None) is not None
    ]
    with torch.no_grad():
        critic.eval()(x)
    for handle in handles:
        handle.remove()
    return means


@pytest.mark.parametrize("name", ["plain", "bjorck", "polar-express", "aol", "spectral-norm", "householder"])
def test_outputs_of_every_affine_layer_get_mean_zero(name):
    make = nn.Linear if name == "plain" else lambda n, m: layers.linear(name, n, m)
    critic = nn.Sequential(make(3, 8), layers.MaxMin(), make(8, 8), nn.ReLU(), make(8, 1))
    x = torch.randn(50, 3) + 3
    weights = {k: v.clone() for k, v in critic.state_dict().items() if not k.endswith("bias")}
    assert max(_outputs(critic, x)) > 0.1
    assert center_biases_(critic, x) == 3
    assert max(_outputs(critic, x)) < 1e-5
    assert all(v.equal(weights[k]) for k, v in critic.state_dict().items() if k in weights)


def test_channels_of_images_are_centred_over_samples_and_pixels():
    critic = nn.Sequential(layers.AOCConv2d(2, 4, 3, padding=1), layers.MaxMin(), nn.Flatten(), nn.Linear(64, 1))
    x = torch.rand(20, 2, 4, 4)
    assert center_biases_(critic, x) == 2
    assert max(_outputs(critic, x)) < 1e-5


def test_what_does_not_follow_its_bias_and_what_has_none_are_left_alone():
    critic = nn.Sequential(nn.Linear(3, 4, bias=False), layers.SandwichLinear(4, 4), layers.MaxMin())
    before = {k: v.clone() for k, v in critic.state_dict().items()}
    assert center_biases_(critic, torch.randn(9, 3) + 1) == 0
    assert all(v.equal(before[k]) for k, v in critic.state_dict().items())


def test_modes_and_hooks_are_put_back_even_after_an_error():
    critic = nn.Sequential(nn.Linear(3, 4), nn.Dropout(), nn.Linear(4, 1)).train()
    center_biases_(critic, torch.randn(9, 3))
    with pytest.raises(RuntimeError):
        center_biases_(critic, torch.randn(9, 4))
    assert all(m.training and not m._forward_hooks for m in critic.modules())
    assert all(p.grad is None and p.requires_grad for p in critic.parameters())
