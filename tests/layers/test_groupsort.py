"""GroupSort and FullSort against sorting by hand."""

from __future__ import annotations

import pytest
import torch

from onelip.layers import FullSort, GroupSort, activation, to_plain


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (1, [3, 1, 2, -1, 0, 5]),
        (2, [1, 3, -1, 2, 0, 5]),
        (3, [1, 2, 3, -1, 0, 5]),
        (6, [-1, 0, 1, 2, 3, 5]),
    ],
)
def test_groups_are_contiguous_and_ascending(size: int, expected: list[float]) -> None:
    assert GroupSort(size)(torch.tensor([[3.0, 1, 2, -1, 0, 5]])).tolist() == [expected]


@pytest.mark.parametrize("size", [2, 3, 6])
def test_jacobian_is_a_permutation_with_ties(size: int) -> None:
    x = torch.tensor([[1.0, 1, 0, 0, 0, 1]], dtype=torch.float64)
    jacobian = torch.func.jacrev(GroupSort(size))(x).reshape(6, 6)
    assert torch.equal(jacobian @ jacobian.T, torch.eye(6, dtype=torch.float64))


@pytest.mark.parametrize("dim", [0, -1, -2])
@pytest.mark.parametrize("size", [2, 3])
def test_other_axes(dim: int, size: int) -> None:
    x = torch.randn(6, 12, 6)
    assert torch.equal(GroupSort(size, dim)(x), GroupSort(size)(x.movedim(dim, 1)).movedim(1, dim))


def test_full_sort_becomes_group_sort() -> None:
    x = torch.randn(3, 5, 2, 2)
    plain = to_plain(FullSort(5))
    assert isinstance(plain, GroupSort)
    assert plain.group_size == 5
    assert torch.equal(plain(x), x.sort(1).values)


def test_size_must_divide_channels() -> None:
    with pytest.raises(ValueError, match="group_size=4 in GroupSort does not divide the 6 channels"):
        activation("groupsort", 6, group_size=4)
    with pytest.raises(ValueError, match="group_size=4 in GroupSort does not divide the 6 channels"):
        GroupSort(4)(torch.zeros(1, 6))
    with pytest.raises(ValueError, match="group_size=0 in GroupSort must be an integer of at least 1"):
        GroupSort(0)
    with pytest.raises(ValueError, match="input with 4 channels in FullSort must have channels=3"):
        FullSort(3)(torch.zeros(1, 4))
