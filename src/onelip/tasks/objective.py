"""What a training step minimises, as a function of the network and a batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from torch import Tensor, nn

from onelip.data.share import Piece

Objective: TypeAlias = Callable[[nn.Module, Tensor, Tensor, Callable[..., Tensor]], tuple[Tensor, Tensor]]
"""Maps (model, images, labels, loss) to (what to minimise, the logits to count accuracy with).

`loss` maps logits and labels to a scalar. One with `set_progress` is told the part of the training that is done, in
[0, 1], and one with `set_batch` the epoch and the number of the batch in it, before each step, and which images of the
batch this process has, or None for all. In several processes model, images and labels are those of the process, while
`loss` is that of the whole batch; a mean that an objective takes itself has to be one over `whole` of its terms.
"""


def ordinary(model: nn.Module, images: Tensor, labels: Tensor, loss: Callable[..., Tensor]) -> tuple[Tensor, Tensor]:
    """Give the loss of the images as they are.

    Args:
        model: Maps images to logits.
        images: `(N, C, H, W)`.
        labels: `(N,)`.
        loss: Maps logits and labels to a scalar.

    Returns:
        The loss, and the logits.
    """
    logits = model(images)
    return loss(logits, labels), logits


def tell(objective: Objective, progress: float, epoch: int, batch: int, piece: Piece | None = None) -> None:
    """Tell an objective where in the training it is, if it wants to know.

    Args:
        objective: Any objective.
        progress: Part of the training that is done, in [0, 1].
        epoch: Counted from 0.
        batch: Number of the batch in the epoch.
        piece: Which images of the batch this process has; None for all.
    """
    for name, arguments in (("set_progress", (progress,)), ("set_batch", (epoch, batch, piece))):
        listener = getattr(objective, name, None)
        if callable(listener):
            listener(*arguments)
