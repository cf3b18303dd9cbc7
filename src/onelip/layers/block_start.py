"""Where the kernels of AOC begin: at random, or at the identity."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

import torch
from torch import Tensor

from onelip.linalg import unknown_name

if TYPE_CHECKING:
    from onelip.layers.block_kernel import BlockPlan

Start = Literal["random", "identity"]
STARTS: tuple[str, ...] = get_args(Start)


def check_start(owner: str, start: str, plan: BlockPlan) -> None:
    """Check that kernels can begin where they should.

    Args:
        owner: Name of the layer, for messages.
        start: "random" or "identity".
        plan: How the kernel is composed.

    Raises:
        ValueError: If there is no such start, or the kernel cannot be the identity.
    """
    if start not in STARTS:
        raise ValueError(f"start={start!r} in {owner} is not known: {unknown_name('start', start, STARTS)}")
    if start == "random":
        return
    if plan.rows != plan.columns or plan.start != (1, 1) or plan.ranks != "half":
        raise ValueError(f"start='identity' in {owner} needs as many outputs as inputs, stride 1 and rank='half'")
    if plan.axes and plan.rows % 2:
        raise ValueError(f"start='identity' in {owner} needs an even number of channels per group, not {plan.rows}")
    if any(plan.axes.count(axis) % 2 for axis in plan.axes):
        raise ValueError(f"start='identity' in {owner} needs a kernel with a middle tap: of odd height and width")


def undo_in_pairs_(frames: Tensor, axes: tuple[int, ...]) -> None:
    """Give every second factor along an axis the complement of the projector before it, which undoes it.

    (P + (I - P) z) ((I - P) + P z) = z I: both shift all channels by one tap, so that with the others along the axis
    the kernel is the identity on its middle tap. Factors along the other axis stand between the two, so all projectors
    take columns of one random basis, each pair another half of them, and commute.

    Args:
        frames: (n, groups, channels, channels / 2), the first of full rank; changed in place.
        axes: The axis of each factor.
    """
    basis = torch.linalg.qr(frames[0].double(), mode="complete").Q
    half, pairs = frames.shape[-1], 0
    waiting: dict[int, Tensor] = {}
    for i, axis in enumerate(axes):
        if axis in waiting:
            taken = waiting.pop(axis).roll(-half, -1)
        else:
            taken = waiting[axis] = basis.roll(-pairs * max(half // 2, 1), -1)
            pairs += 1
        frames[i] = taken[..., :half].to(frames.dtype)
