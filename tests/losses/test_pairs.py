"""Constants and radii of pairs of logits."""

import math

import pytest
import torch

from onelip.losses.pairs import pair_constants, pair_radii

LOGITS = torch.tensor([[3.0, 1.0, 0.0], [0.0, 2.0, 5.0]], dtype=torch.float64)
LABELS = torch.tensor([0, 1])


def test_constants_are_the_rows_of_the_labels():
    constants = torch.arange(9.0).reshape(3, 3)
    taken = pair_constants(constants, LABELS, LOGITS)
    assert taken.tolist() == [[0, 1, 2], [3, 0, 5]]
    assert taken.dtype == torch.float64


def test_without_constants_they_are_root_two():
    root = math.sqrt(2)
    assert pair_constants(None, LABELS, LOGITS).tolist() == [[0, root, root], [root, 0, root]]


def test_radii_by_hand():
    constants = torch.tensor([[0.0, 4.0, 1.0], [4.0, 0.0, 2.0], [1.0, 2.0, 0.0]])
    assert pair_radii(LOGITS, LABELS, constants).tolist() == [[math.inf, 0.5, 3.0], [0.5, math.inf, -1.5]]


def test_equal_rows_of_a_head_give_finite_gradients():
    logits, constants = LOGITS.clone().requires_grad_(), torch.zeros(3, 3, dtype=torch.float64, requires_grad=True)
    pair_radii(logits, LABELS, constants).clamp(max=10.0).sum().backward()
    assert bool(torch.isfinite(logits.grad).all())
    assert bool(torch.isfinite(constants.grad).all())


@pytest.mark.parametrize("shape", [(2, 2), (3,), (3, 4)])
def test_constants_of_another_shape_are_refused(shape):
    with pytest.raises(ValueError, match=r"constants has shape .*; with 3 logits it must be \(3, 3\)"):
        pair_constants(torch.zeros(shape), LABELS, LOGITS)
