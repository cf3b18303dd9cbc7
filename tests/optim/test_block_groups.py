"""Every parameter is in one group."""

from torch import nn

from onelip.layers import OrthogonalBlock
from onelip.optim.block_groups import block_groups


def test_matrices_and_others():
    model = nn.Linear(3, 2)
    matrices, others = block_groups(model, [OrthogonalBlock(model.weight, (1, 2, 3))], lr=0.5)
    assert matrices["params"] == [model.weight]
    assert matrices["shapes"] == [(1, 2, 3)]
    assert others["params"] == [model.bias]
    assert others["lr"] == 0.5
    assert [list(g) for g in block_groups(model, [])] == [["params"]]
    assert block_groups(nn.ReLU(), []) == []
