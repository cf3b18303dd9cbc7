"""Trust ends with any write, and does not travel with copies."""

import copy
import pickle

import torch
from torch import nn

from onelip.layers.orthogonal_block import OrthogonalBlock, is_trusted, trust, trust_if_orthogonal


def trusted():
    parameter = nn.Parameter(torch.eye(3))
    trust(parameter)
    assert is_trusted(parameter)
    return parameter


def test_any_write_ends_it():
    changed = trusted()
    with torch.no_grad():
        changed.mul_(1.0)
    assert not is_trusted(changed)
    moved = trusted()
    moved.data = moved.data.double()
    assert not is_trusted(moved)
    assert not is_trusted(nn.Parameter(torch.eye(3)))


def test_copies_are_not_trusted():
    parameter = trusted()
    assert not is_trusted(copy.deepcopy(parameter))
    assert not is_trusted(pickle.loads(pickle.dumps(parameter)))
    assert is_trusted(parameter)


def test_only_orthogonal_matrices_are_declared():
    for scale, expected in ((1.0, True), (1.001, False)):
        parameter = nn.Parameter(scale * torch.eye(4).reshape(2, 2, 4)[:, :, :2].contiguous())
        parameter.data.copy_(scale * torch.eye(2).expand(2, 2, 2))
        trust_if_orthogonal(OrthogonalBlock(parameter, (2, 2, 2)))
        assert is_trusted(parameter) is expected
    meta = nn.Parameter(torch.empty(2, 2, device="meta"))
    trust_if_orthogonal(OrthogonalBlock(meta, (1, 2, 2)))
