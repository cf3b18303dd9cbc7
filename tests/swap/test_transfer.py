"""A network takes the weights of another one, whose layers may be of other methods."""

import pytest
import torch
from torch import nn

from onelip.layers import AOCConv2d, AOLLinear, BjorckLinear, MaxMin, SLLLinear, to_plain
from onelip.swap import transfer_


def dense(layer, seed=0, sizes=(6, 8, 3), **options):
    torch.manual_seed(seed)
    return nn.Sequential(layer(sizes[0], sizes[1], **options), MaxMin(), layer(sizes[1], sizes[2], **options))


def perturbed(model, scale=0.3):
    with torch.no_grad():
        for p in model.parameters():
            p.add_(scale * torch.randn(p.shape, generator=torch.Generator().manual_seed(1)))
    return model


def test_layers_of_the_same_kind_are_copied_with_all_their_state():
    source, target = perturbed(nn.Sequential(dense(BjorckLinear), nn.BatchNorm1d(3))), None
    source(torch.randn(5, 6))
    target = nn.Sequential(dense(BjorckLinear, seed=1), nn.BatchNorm1d(3))
    changes = transfer_(target, source)
    assert changes == {"0.0": 0.0, "0.2": 0.0, "1": 0.0}
    for name, tensor in source.state_dict().items():
        assert torch.equal(tensor, target.state_dict()[name])


def test_few_steps_become_the_polar_factor():
    source = perturbed(dense(BjorckLinear, max_steps=2))
    target = dense(BjorckLinear, seed=1)
    changes = transfer_(target.train(), source.eval())
    assert target.training
    assert not source.training
    for i in (0, 2):
        weight = source[i].weight.detach().double()
        u, _, vh = torch.linalg.svd(weight, full_matrices=False)
        torch.testing.assert_close(target[i].eval_weight().double(), u @ vh, atol=1e-5, rtol=0)
        assert torch.equal(target[i].bias, source[i].bias)
        given = source[i].weight.detach()
        expected = float((target[i].eval_weight() - given).norm() / given.norm())
        assert changes[str(i)] == pytest.approx(expected, rel=1e-5)
    assert max(changes.values()) > 0.01


def test_an_ordinary_network_gets_what_a_constrained_one_uses():
    source, target = perturbed(dense(BjorckLinear)), dense(nn.Linear, seed=1)
    transfer_(target, source)
    x = torch.randn(4, 6)
    torch.testing.assert_close(target(x), to_plain(source)(x), atol=1e-6, rtol=1e-5)


def test_convolutions_are_projected():
    torch.manual_seed(0)
    source, target = nn.Sequential(nn.Conv2d(4, 4, 3)), nn.Sequential(AOCConv2d(4, 4, 3))
    isometry = AOCConv2d(4, 4, 3)
    with torch.no_grad():
        source[0].weight.copy_(isometry.eval_weight())
    changes = transfer_(target, source)
    assert changes["0"] < 0.5
    assert torch.equal(target[0].bias, source[0].bias)


@pytest.mark.parametrize(
    ("target", "source", "message"),
    [
        (dense(nn.Linear), dense(nn.Linear, sizes=(6, 10, 3)), r"weight of layer '0' is \(10, 6\) .* \(8, 6\) here"),
        (dense(AOLLinear), dense(nn.Linear, sizes=(6, 10, 3)), r"weight of layer '0' is \(10, 6\) .* \(8, 6\) here"),
        (dense(nn.Linear), nn.Sequential(nn.Linear(6, 8)), "the network to begin with has no layer '2'"),
        (nn.Sequential(nn.Linear(6, 8)), dense(nn.Linear), "only the network to begin with has a layer '2'"),
        (
            nn.Sequential(SLLLinear(6, 6)), nn.Sequential(BjorckLinear(6, 6)),
            "layer '0' is BjorckLinear .* and SLLLinear here, which cannot take its weight",
        ),
        (nn.Sequential(nn.Linear(6, 6)), nn.Sequential(SLLLinear(6, 6)), "layer '0' is SLLLinear"),
        (nn.Sequential(nn.Linear(6, 6, bias=False)), nn.Sequential(BjorckLinear(6, 6)), "layer '0' has a bias in one"),
        (nn.Sequential(nn.Linear(6, 6, bias=False)), nn.Sequential(nn.Linear(6, 6)), "layer '0' has weight here and"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named(target, source, message):
    with pytest.raises(ValueError, match=message):
        transfer_(target, source)
