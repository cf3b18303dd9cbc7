"""Abs keeps the norm of gradients everywhere, at zero too."""

from __future__ import annotations

import torch

from onelip.layers import Abs


def test_value_and_slope() -> None:
    x = torch.tensor([-2.0, -0.0, 0.0, 3.0, float("inf")], requires_grad=True)
    y = Abs()(x)
    assert torch.equal(y, x.detach().abs())
    y.sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [-1, -1, 1, 1, 1]


def test_precision_is_kept() -> None:
    for dtype in (torch.bfloat16, torch.float16, torch.float64):
        assert Abs()(torch.ones(2, dtype=dtype)).dtype == dtype
