"""What is asked of dense layers, for those of the library and torch's own."""

import pytest
import torch
from torch import nn

from onelip.layers import AOLLinear, CholeskyLinear, MaxMin
from onelip.layers.dense_weight import checked_dense, frozen_weight, plain_pointwise, raw_tensors


def test_weights_and_what_they_depend_on():
    ours, theirs = CholeskyLinear(4, 3, depth=2), nn.Linear(4, 3)
    assert raw_tensors(theirs) == (theirs.weight,)
    assert [id(t) for t in raw_tensors(ours)] == [id(ours.raw_weight), id(ours.gamma)]
    assert torch.equal(frozen_weight(ours), ours.eval().weight)
    assert not frozen_weight(theirs).requires_grad


def test_a_matrix_on_every_patch():
    weight, bias, x = torch.randn(5, 8), torch.randn(5), torch.randn(2, 2, 4, 6)
    plain = plain_pointwise(weight, bias, 2)
    patches = nn.functional.unfold(x, 2, stride=2)
    torch.testing.assert_close(plain(x).flatten(2), weight @ patches + bias[:, None])
    assert plain_pointwise(weight).bias is None


def test_refused():
    assert isinstance(checked_dense("Owner", "linear", AOLLinear(4, 3), 4), AOLLinear)
    with pytest.raises(ValueError, match="linear=MaxMin in Owner must be a dense layer with an explicit weight"):
        checked_dense("Owner", "linear", MaxMin())
    with pytest.raises(ValueError, match="linear=Linear in Owner has in_features=4, where 5 are needed"):
        checked_dense("Owner", "linear", nn.Linear(4, 3), 5)
