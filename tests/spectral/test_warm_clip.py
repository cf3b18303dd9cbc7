"""Clipping from known vectors, against dense singular values."""

import copy

import pytest
import torch
from tests.spectral.dense_values import dense_values
from torch import nn

from onelip.spectral import singular_values
from onelip.spectral.warm_clip import warm_clip_


def module(kind):
    torch.manual_seed(0)
    if kind == "dense":
        return nn.Linear(12, 9), (12,)
    if kind == "strided":
        return nn.Conv2d(4, 6, 3, stride=2, padding=1), (4, 9, 8)
    if kind == "reflect":
        return nn.Conv2d(3, 5, 3, padding=1, padding_mode="reflect"), (3, 7, 7)
    if kind == "depthwise":
        return nn.Conv2d(4, 4, 3, padding=1, groups=4), (4, 7, 7)
    if kind == "transposed":
        return nn.ConvTranspose2d(4, 3, 3, stride=2), (4, 4, 4)
    joint = nn.Sequential(nn.Conv2d(3, 5, 3, padding=1), nn.BatchNorm2d(5))
    joint[1].running_var.uniform_(0.3, 2.0)
    joint[1].weight.data.normal_()
    return joint, (3, 7, 7)


@pytest.mark.parametrize("c", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("kind", ["dense", "strided", "reflect", "depthwise", "transposed", "joint"])
def test_the_norm_is_at_most_the_bound_and_stays(kind, c):
    layer, shape = module(kind)
    with torch.no_grad():
        next(layer.parameters()).mul_(3)
    before = dense_values(layer, shape)[0]
    done = warm_clip_(layer, shape, c)
    assert dense_values(layer, shape)[0] <= c * 1.02
    assert done.after == pytest.approx(float(dense_values(layer, shape)[0]), rel=2e-2)
    assert done.before == pytest.approx(float(before), rel=0.1)
    kept = copy.deepcopy(layer.state_dict())
    again = warm_clip_(layer, shape, c, done.right)
    assert again.n_rounds == 0
    assert all(torch.equal(a, b) for a, b in zip(kept.values(), layer.state_dict().values(), strict=True))


def test_what_is_below_stays_bit_for_bit():
    layer, shape = module("strided")
    kept = layer.weight.clone()
    assert warm_clip_(layer, shape, 1.001 * float(dense_values(layer, shape)[0])).n_rounds == 0
    assert torch.equal(layer.weight, kept)


def test_a_dense_layer_gets_its_values_cut_and_keeps_the_others():
    layer, shape = module("dense")
    with torch.no_grad():
        layer.weight.mul_(2.5)
    before = dense_values(layer, shape)
    c = float(before[:3].mean())
    warm_clip_(layer, shape, c, tol=1e-4)
    torch.testing.assert_close(dense_values(layer, shape), before.clamp(max=c), rtol=1e-3, atol=1e-3)


def test_the_move_is_a_small_one():
    # No weights that obey the bound are nearer than the excess of the norm over the norm of the map of weights.
    layer, shape = module("strided")
    with torch.no_grad():
        layer.weight.mul_(2.0)
    kept = layer.weight.detach().clone()
    top = singular_values(layer, shape, 1, 1e-6)
    pulled = torch.autograd.grad((layer(top.right) * top.left).sum(), layer.weight)[0].norm()
    warm_clip_(layer, shape, 1.0)
    moved = (layer.weight.detach() - kept).norm()
    assert (float(top.values[0]) - 1.0) / pulled * 0.99 <= moved <= 0.6 * kept.norm()


def test_nothing_but_the_weights_changes():
    layer, shape = module("joint")
    layer.train()
    for parameter in layer.parameters():
        parameter.grad = torch.ones_like(parameter)
    kept = {name: tensor.clone() for name, tensor in layer.state_dict().items()}
    state = torch.get_rng_state()
    with torch.autocast("cpu"):
        assert warm_clip_(layer, shape, 0.2).n_rounds > 0
    assert torch.equal(torch.get_rng_state(), state)
    assert all(m.training for m in layer.modules())
    for name, tensor in layer.state_dict().items():
        assert torch.equal(tensor, kept[name]) == (name != "0.weight"), name
    assert all(torch.equal(p.grad, torch.ones_like(p)) for p in layer.parameters())
    assert dense_values(layer, shape)[0] <= 0.2 * 1.02
