"""What is not finite is found, and named."""

import math

import pytest
import torch
from torch import nn

from onelip.tasks.finite import NonFiniteError, all_finite, blame


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_one_bad_entry_among_many_is_found(bad):
    tensors = [torch.ones(100), torch.ones(3, 5, dtype=torch.float64), torch.ones(())]
    assert all_finite(tensors)
    assert all_finite([])
    tensors[1][2, 4] = bad
    assert not all_finite(tensors)


def test_the_parameter_or_its_gradient_is_named():
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    model[1].bias.grad[0] = math.nan
    error = blame(model, 3, 7)
    assert str(error).startswith("the gradient of 1.bias is not finite in epoch 3, batch 7")
    with torch.no_grad():
        model[0].weight[0, 1] = math.inf
    assert str(blame(model, 3, 7)).startswith("the parameter 0.weight is not finite")


def test_squares_that_overflow_are_no_single_parameters_fault():
    model = nn.Sequential(nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(1.6e19)
    assert not all_finite(model.parameters())
    error = blame(model, 0, 0)
    assert isinstance(error, NonFiniteError)
    assert "overflows" in str(error)
