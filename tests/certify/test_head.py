import pytest
import torch
from torch import nn

from onelip.certify.export import freeze
from onelip.certify.head import find_head
from onelip.layers import ChannelKeep, MaxMin


def head_of(*layers, shape=(4,)):
    return find_head(freeze(nn.Sequential(*layers), shape))


def test_linear_heads_are_found_behind_rearrangements():
    first, last = nn.Linear(4, 4), nn.Linear(4, 6)
    body = freeze(nn.Sequential(first), (4,)).analysis.total
    for tail in ([], [ChannelKeep(3)], [nn.Unflatten(1, (6, 1)), nn.Flatten()]):
        head = head_of(first, MaxMin(), last, *tail)
        n = 3 if tail and isinstance(tail[0], ChannelKeep) else 6
        assert head.kind == "linear"
        assert torch.equal(head.rows, last.weight[:n].double())
        assert head.constant == body.value


def test_a_lone_linear_layer_has_nothing_before_it():
    assert head_of(nn.Linear(4, 2)).constant == 1


def test_a_convolution_that_sees_the_whole_image_is_a_head():
    conv = nn.Conv2d(2, 5, (3, 4))
    head = head_of(nn.ReLU(), conv, nn.Flatten(), shape=(2, 3, 4))
    assert head.kind == "linear"
    assert torch.equal(head.rows, conv.weight.flatten(1).double())


@pytest.mark.parametrize(
    ("layers", "shape"),
    [
        ([nn.Linear(4, 4), nn.ReLU()], (4,)),
        ([nn.Conv2d(2, 5, 2), nn.Flatten()], (2, 3, 4)),
        ([nn.Conv2d(2, 4, 1, groups=2), nn.Flatten()], (2, 1, 1)),
    ],
)
def test_global_heads(layers, shape):
    frozen = freeze(nn.Sequential(*layers), shape)
    head = find_head(frozen)
    assert (head.kind, head.rows) == ("global", None)
    assert head.constant == frozen.analysis.total.value
