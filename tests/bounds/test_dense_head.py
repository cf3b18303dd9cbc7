"""The dense layer at the end of a chain."""

import pytest
import torch
from torch import nn

from onelip import layers
from onelip.bounds.dense_head import dense_head


def test_flattening_and_keeping_classes_is_looked_through():
    dense = layers.AOLLinear(6, 5)
    head = dense_head([nn.ReLU(), dense, nn.Identity(), layers.ChannelKeep(3), nn.Flatten()])
    assert (head.index, head.layer, head.n_classes) == (1, dense, 3)
    assert torch.equal(head.rows(), dense.weight[:3])


def test_the_last_choice_of_classes_counts():
    # The outer layer keeps fewer of those that the inner one kept.
    assert dense_head([nn.Linear(6, 5), layers.ChannelKeep(4), layers.ChannelKeep(2)]).n_classes == 2
    assert dense_head([nn.Linear(6, 5)]).n_classes == 5


@pytest.mark.parametrize("chain", [[], [nn.ReLU()], [nn.Linear(2, 2), nn.ReLU()], [nn.Linear(2, 2), None]])
def test_other_ends_have_none(chain):
    assert dense_head(chain) is None
