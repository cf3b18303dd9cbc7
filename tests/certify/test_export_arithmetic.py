import pytest
import torch
from tools.module_table import Call
from torch import nn

from onelip.certify import UncertifiableOperation
from onelip.certify.export import freeze


def operations(function, shape=(2, 3), **numbers):
    return [n.op for n in freeze(Call(function, **numbers), shape).network.nodes]


C = torch.tensor([[2.0], [-4.0]])


def test_sums_and_products_of_numbers():
    assert operations(lambda m, x: 1 - x) == ["scale", "shift"]
    assert operations(lambda m, x: x - m.c, c=C) == ["shift"]
    assert operations(lambda m, x: x * m.c, c=C) == ["multiply"]
    assert operations(lambda m, x: x / m.c, c=C) == ["divide"]
    assert operations(lambda m, x: x * torch.tensor([2.0])) == ["scale"]
    assert operations(lambda m, x: torch.maximum(x, m.c), c=C) == ["scale", "shift", "relu", "scale", "shift"]


def test_signals():
    assert operations(lambda m, x: torch.add(x, x.abs(), alpha=-3)) == ["abs", "scale", "add"]
    assert operations(lambda m, x: torch.sub(x, x.abs(), alpha=-1)) == ["abs", "add"]
    swapped = freeze(Call(lambda m, x: torch.sub(other=x.abs(), input=x.relu())), (2, 3)).network
    assert [n.op for n in swapped.nodes] == ["abs", "relu", "subtract"]
    assert swapped.nodes[2].inputs == (swapped.nodes[1].name, swapped.nodes[0].name)
    assert operations(lambda m, x: torch.stack([x, x], 2)) == ["reshape", "reshape", "concatenate"]
    assert operations(lambda m, x: x.mean(1, True) - x) == ["matrices", "reshape", "gather", "subtract"]
    assert operations(lambda m, x: x.amin(2)) == ["scale", "max_windows", "reshape", "scale"]


def test_constants_are_proved():
    network = freeze(Call(lambda m, x: x / m.c, c=torch.tensor([3.0, -0.25, 1.0])), (2, 3)).network
    assert 4 <= network.nodes[0].constant <= 4 * (1 + 1e-15)


def test_numbers_that_widen_the_signal():
    # A signal (3,) and numbers (2, 1) give (2, 3): the signal is copied first.
    assert operations(lambda m, x: x + m.c, shape=(1, 3), c=C) == ["gather", "shift"]


class Joined(nn.Module):
    def forward(self, x):
        return torch.cat([x, torch.ones(1, 2)], 1)


def test_stored_parts_of_a_concatenation_have_no_operation():
    with pytest.raises(UncertifiableOperation, match="cat"):
        freeze(Joined(), (3,))
