import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from onelip.certify.copies_forward import COPIES
from onelip.certify.export_copies import broadcast, copy_operation, gather
from onelip.certify.records import Node


def described(function, shape):
    operation = copy_operation(function, shape)
    return None if operation is None else (operation.op, operation.constant)


def test_the_simplest_operation_is_found():
    assert described(lambda x: x, (2, 3)) == ("identity", None)
    assert described(lambda x: x.flatten(1), (2, 3)) == ("reshape", 1)
    assert described(lambda x: x.mT, (2, 3)) == ("permute", 1)
    assert described(lambda x: x[:, 1:], (2, 3)) == ("slice", 1)
    assert described(lambda x: x.flip(1), (2, 3)) == ("gather", 1)
    assert described(lambda x: F.pad(x, (1, 1), value=3.0), (2, 3)) == ("gather", 1)
    assert described(lambda x: x.repeat(1, 1, 4), (2, 3)) == ("gather", 2)
    assert described(lambda x: x.diagonal(dim1=1, dim2=2), (3, 3)) == ("take", 1)


@pytest.mark.parametrize(
    "function",
    [lambda x: 2 * x, lambda x: x + 0.5, lambda x: x.sum(1), lambda x: x.expand(2, -1), lambda x: F.pad(x, (1, 0)) + 1,
     lambda x: torch.cat([x, torch.tensor([[1.0, 2.0]])], 1), lambda x: x / 0],
)  # fmt: skip
def test_what_does_more_than_copy_has_no_operation(function):
    assert copy_operation(function, (3,)) is None


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(-1, 4), min_size=1, max_size=6), st.lists(st.integers(-1, 2), min_size=1, max_size=4))
def test_gathers_are_found_again(rows, columns):
    # Any picture whose rows and columns are copied, left out or replaced by a constant.
    node = Node("n", "gather", ("input",), {"axes": [0, 1], "indices": [rows, columns], "fill": 7.5})
    operation = copy_operation(lambda x: COPIES["gather"](node, [x])[0], (5, 3))
    assert operation.op in ("gather", "identity", "slice")
    counts = [max([line.count(p) for p in set(line) - {-1}], default=0) for line in (rows, columns)]
    if all(counts) and operation.op == "gather":
        assert operation.constant == pytest.approx((counts[0] * counts[1]) ** 0.5)


def test_broadcasting():
    assert broadcast(0, (2, 3), (2, 3)) == 0
    operation = broadcast(1, (3,), (2, 3))
    assert (operation.op, operation.attributes["axes"], operation.sources[0].op) == ("gather", [0], "reshape")
    assert operation.constant >= 2**0.5
    assert gather({0: [0, 0, 1]}).constant == pytest.approx(2**0.5)
