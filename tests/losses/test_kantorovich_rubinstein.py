"""The terms of hinge-KR losses."""

import pytest
import torch

from onelip import losses
from onelip.losses.kantorovich_rubinstein import half_margin_hinge, kantorovich_rubinstein, one_hot, signed


def test_means_by_class_are_not_drawn_by_its_frequency():
    # One sample inside at 3, four outside at -1: 3 + 1, though the mean of all is -0.2.
    outputs = torch.tensor([3.0, -1.0, -1.0, -1.0, -1.0])[:, None]
    inside = torch.tensor([True, False, False, False, False])[:, None]
    assert kantorovich_rubinstein(outputs, inside).item() == pytest.approx(4.0)


def test_an_absent_part_counts_zero_with_finite_gradients():
    outputs = torch.tensor([[1.0], [3.0]], requires_grad=True)
    kr = kantorovich_rubinstein(outputs, torch.ones(2, 1, dtype=torch.bool))
    kr.backward()
    assert kr.item() == pytest.approx(2.0)
    assert outputs.grad.flatten().tolist() == pytest.approx([0.5, 0.5])


def test_signs_hinges_and_classes():
    inside = one_hot(torch.tensor([1, 0]), 3)
    assert inside.tolist() == [[False, True, False], [True, False, False]]
    s = signed(torch.tensor([[1.0, 2.0, -3.0], [4.0, 5.0, 6.0]]), inside)
    assert s.tolist() == [[-1.0, 2.0, 3.0], [4.0, -5.0, -6.0]]
    assert half_margin_hinge(s, 4.0).tolist() == [[3.0, 0.0, 0.0], [0.0, 7.0, 8.0]]


@pytest.mark.parametrize("name", ["hkr", "hkr-multiclass", "soft-hkr", "lse-hkr"])
def test_the_older_convention_is_refused_with_its_translation(name):
    with pytest.raises(ValueError, match=r"alpha=10 in \w+ must be in \[0, 1\].* alpha = a / \(1 \+ a\) = 0.909091"):
        losses.build(name, alpha=10)
    with pytest.raises(ValueError, match=r"alpha=-0.1 in \w+ must be in \[0, 1\]"):
        losses.build(name, alpha=-0.1)
