"""Kernels that begin at the identity, and refusals where there is none."""

from __future__ import annotations

import pytest
import torch

from onelip.layers import AOCConv2d
from onelip.layers.block_start import undo_in_pairs_


@pytest.mark.parametrize(
    ("channels", "kernel", "groups"),
    [(8, 3, 1), (2, 3, 1), (12, 5, 1), (8, 3, 2), (4, (1, 5), 1), (6, (3, 1), 1), (5, 1, 1)],
)
def test_the_kernel_is_the_identity(channels: int, kernel: int | tuple[int, int], groups: int) -> None:
    layer = AOCConv2d(channels, channels, kernel, padding="same", groups=groups, start="identity")
    expected = torch.nn.init.dirac_(torch.empty_like(layer.eval_weight()), groups)
    torch.testing.assert_close(layer.eval_weight(), expected, rtol=0, atol=1e-6)


def test_layers_that_begin_at_the_identity_learn_another_kernel() -> None:
    torch.manual_seed(0)
    layer = AOCConv2d(8, 8, 3, padding=1, start="identity")
    before = layer.eval_weight().clone()
    layer(torch.randn(4, 8, 6, 6)).square().sum(1).amax().backward()
    with torch.no_grad():
        for raw in layer.raw:
            assert raw.grad is not None
            assert raw.grad.norm() > 0
            raw -= 0.1 * raw.grad / raw.grad.norm()
    assert (layer.eval_weight() - before).norm() > 0.01


def test_pairs_take_different_halves_of_one_basis() -> None:
    torch.manual_seed(0)
    frames = torch.randn(4, 1, 8, 4, dtype=torch.float64)
    undo_in_pairs_(frames, (2, 3, 2, 3))
    projectors = frames @ frames.mT
    identity = torch.eye(8, dtype=torch.float64)
    torch.testing.assert_close(projectors[0] + projectors[2], identity[None])
    torch.testing.assert_close(projectors[1] + projectors[3], identity[None])
    torch.testing.assert_close(projectors[0] @ projectors[1], projectors[1] @ projectors[0])
    assert (projectors[0] - projectors[1]).norm() > 1


@pytest.mark.parametrize(
    ("sizes", "options", "message"),
    [
        ((8, 8, 3), {"start": "zero"}, "start='zero' in AOCConv2d is not known"),
        ((8, 6, 3), {"start": "identity"}, "as many outputs as inputs, stride 1 and rank='half'"),
        ((8, 8, 3), {"start": "identity", "rank": "free"}, "as many outputs as inputs, stride 1 and rank='half'"),
        ((8, 8, 3), {"start": "identity", "stride": 2}, "as many outputs as inputs, stride 1 and rank='half'"),
        ((7, 7, 3), {"start": "identity"}, "an even number of channels per group, not 7"),
        ((8, 8, 2), {"start": "identity"}, "a kernel with a middle tap"),
    ],
)
def test_refusals(sizes: tuple[int, ...], options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        AOCConv2d(*sizes, **options)  # type: ignore[arg-type]
