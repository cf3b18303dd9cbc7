"""Stacks of orthogonal parameters share memory with the state, and go back into them."""

from collections import defaultdict

import torch
from torch import nn

from onelip.layers import OrthogonalBlock
from onelip.optim.block_batch import BlockBatch, batched


def batch_of(*shapes, states=None):
    blocks = [OrthogonalBlock(nn.Parameter(torch.randn(shape)), shape) for shape in shapes]
    for block in blocks:
        block.parameter.grad = torch.randn(block.shape)
    states = defaultdict(dict) if states is None else states
    return blocks, states, BlockBatch(blocks, states)


def test_matrices_are_stacked_there_and_back():
    blocks, _, batch = batch_of((2, 3, 5), (1, 3, 5))
    expected = torch.cat([b.parameter.detach() for b in blocks])
    assert torch.equal(batch.matrices(), expected)
    assert torch.equal(batch.gradients(), torch.cat([b.parameter.grad for b in blocks]))
    with torch.no_grad():
        batch.write_(2 * expected)
    assert torch.equal(batch.matrices(), 2 * expected)


def test_a_single_parameter_is_stepped_in_place():
    (block,), _, batch = batch_of((2, 3, 5))
    batch.matrices().fill_(2.0)
    with torch.no_grad():
        batch.write_(batch.matrices())
        assert (block.parameter == 2).all()
        batch.write_(torch.ones(2, 3, 5))
    assert (block.parameter == 1).all()


def test_states_are_views_and_are_taken_over():
    blocks, states, batch = batch_of((2, 4, 4), (1, 4, 4))
    batch.state["exp_avg"].fill_(3.0)
    assert all((states[b.parameter]["exp_avg"] == 3.0).all() for b in blocks)
    assert batch.holds(states)
    states[blocks[1].parameter]["exp_avg"] = torch.full((1, 4, 4), 5.0)
    assert not batch.holds(states)
    again = BlockBatch(blocks, states)
    assert torch.equal(again.state["exp_avg"][:, 0, 0], torch.tensor([3.0, 3.0, 5.0]))


def test_drift_control_comes_sooner_or_later():
    _, _, batch = batch_of((1, 2, 2))
    intervals = []
    for drift in (0.0, 0.0, 0.0, 0.5, 1.0, 2.0, float("nan")):
        waited = 1
        while not batch.due():
            waited += 1
        intervals.append(waited)
        batch.plan(drift, tolerance=1.0, every=4)
    assert intervals == [1, 2, 4, 4, 4, 4, 2]


def test_one_batch_for_each_size_and_number_of_steps():
    blocks, states, _ = batch_of((1, 2, 2), (3, 2, 2))
    other = OrthogonalBlock(nn.Parameter(torch.randn(1, 3, 2)), (1, 3, 2))
    assert [len(b.parameters) for b in batched([*blocks, other], states)] == [2, 1]
    states[blocks[0].parameter]["step"] = torch.tensor(4.0)
    assert [len(b.parameters) for b in batched([*blocks, other], states)] == [1, 1, 1]
