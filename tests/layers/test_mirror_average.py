"""The average over mirror images: which function it is, and how steep."""

from collections import OrderedDict

import pytest
import torch
from torch import nn

from onelip.bounds import lipschitz_bound
from onelip.certify import certify, verify
from onelip.layers import AOLConv2d, AOLLinear, ChannelKeep, MaxMin, MirrorAverage, Normalize, Scale, to_plain
from onelip.layers.mirror_average import split_head

SHAPE = (2, 4, 6)


def new_network(*, head=True) -> nn.Sequential:
    torch.manual_seed(0)
    body = OrderedDict(conv=AOLConv2d(2, 4, 3, padding=1), act=MaxMin(), flatten=nn.Flatten(), dense=AOLLinear(96, 5))
    last = OrderedDict(keep=ChannelKeep(3)) if head else OrderedDict(scale=Scale(1.5))
    return nn.Sequential(OrderedDict(normalize=Normalize((0.1, 0.2), (1, 1)), network=nn.Sequential(body | last)))


@pytest.mark.parametrize("head", [True, False])
def test_it_is_the_average_of_the_network_over_both_images(head):
    network = new_network(head=head).double()
    x = torch.randn(3, *SHAPE, dtype=torch.float64)
    average = MirrorAverage(network)
    expected = (network(x) + network(x.flip(3))) / 2
    torch.testing.assert_close(average(x), expected, atol=1e-14, rtol=0)
    torch.testing.assert_close(average(x.flip(3)), expected, atol=1e-14, rtol=0)
    assert {id(p) for p in average.parameters()} == {id(p) for p in network.parameters()}


def test_the_head_is_the_last_dense_layer_with_what_rearranges_its_output():
    network = new_network()
    body, head = split_head(network)
    assert list(body.network._modules) == ["conv", "act", "flatten"]
    assert list(head.network) == [network.network.dense, network.network.keep]
    for headless in (new_network(head=False), nn.Sequential(nn.Flatten()), nn.Linear(2, 2)):
        whole, nothing = split_head(headless)
        assert whole is headless
        assert isinstance(nothing, nn.Identity)


def test_its_certificate_is_verified_with_pairs_of_rows_and_holds_for_the_true_slopes(tmp_path):
    network = new_network()
    average = MirrorAverage(to_plain(network))
    x = torch.rand(8, *SHAPE)
    labels = average(x).argmax(1)
    assert lipschitz_bound(average, SHAPE).value <= lipschitz_bound(to_plain(network), SHAPE).value * (1 + 1e-9)
    certificate = certify(average, x, labels)
    assert certificate.head == "linear"
    assert (certificate.radii > 0).any()
    certificate.save(tmp_path)
    assert verify(tmp_path).ok
    # The steepest that any difference of logits is at the samples, by the dense Jacobian in float64.
    wide = average.double()
    for image in x.double():
        jacobian = torch.func.jacrev(lambda v: wide(v[None])[0].flatten())(image).flatten(1)
        slopes = torch.cdist(jacobian, jacobian)
        assert bool((slopes <= torch.from_numpy(certificate.pair_constants) * (1 + 1e-9)).all())


def test_it_takes_modules_only():
    with pytest.raises(ValueError, match="network=3 in MirrorAverage must be a module"):
        MirrorAverage(3)
