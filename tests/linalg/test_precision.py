"""Inside full_precision float32 means float32; outside everything is as it was."""

from __future__ import annotations

import pytest
import torch

from onelip.linalg import full_precision


def _tf32() -> tuple[bool, bool]:
    return torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32


def test_autocast_is_off_inside_and_back_outside() -> None:
    a = torch.randn(8, 8)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        with full_precision():
            assert (a @ a).dtype == torch.float32
        assert (a @ a).dtype == torch.bfloat16


def test_tf32_is_off_inside_and_restored_even_after_an_error() -> None:
    before = _tf32()
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    try:
        with full_precision():
            assert _tf32() == (False, False)
        with pytest.raises(KeyError), full_precision():
            raise KeyError
        assert _tf32() == (True, True)
    finally:
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before


def test_compiles_without_a_graph_break() -> None:
    def product(a: torch.Tensor) -> torch.Tensor:
        with full_precision():
            return a @ a

    compiled = torch.compile(product, fullgraph=True, backend="eager")
    a = torch.randn(8, 8)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(compiled(a), product(a))
