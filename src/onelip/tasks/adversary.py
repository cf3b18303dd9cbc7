"""The adversary of adversarial training, which climbs in a ball around each image."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from onelip.attacks.ball import WHOLE_SPACE, Balls, Norm, checked_balls, steepest
from onelip.attacks.pgd import evaluating
from onelip.data.share import Piece
from onelip.linalg import full_precision
from onelip.losses import Ramp
from onelip.losses.ramp import Scheduled
from onelip.tasks.batch_generator import BatchGenerator

_PURPOSE = 0x41
"""Tells these random numbers from others of the same seed, epoch and batch."""


class Adversary:
    """Climb in the ball around each image, inside the box [0, 1] of pixels, in steps along normalised gradients.

    The network runs in eval mode: without dropout, with running statistics that stay as they are, and with weights of
    constrained layers that are built once for all steps. Its parameters are frozen meanwhile, so that no gradient of
    theirs is computed; mode and freezing are put back. A step is followed by scaling into the ball and clamping to the
    box, which stays in the ball as the image is in the box.

    Args:
        owner: What the user called, for messages.
        radius: Of the ball, in units of the pixels; a `Ramp`, or the mapping of its arguments, to change it during the
            training.
        norm: "l2" or "linf".
        steps: Gradient steps, at least 1.
        step_size: Length of a step in the units of the pixels; None for 2.5 radius / steps.
        seed: Seed of random numbers, which are a pure function of (seed, epoch, batch).

    Attributes:
        radius: At present.
        random: Their sources.

    Raises:
        ValueError: If an argument is out of range.
    """

    def __init__(
        self, owner: str, radius: Scheduled, norm: Norm, steps: int, step_size: float | None = None, seed: int = 0
    ) -> None:
        if norm not in ("l2", "linf"):
            raise ValueError(f"norm={norm!r} in {owner} must be 'l2' or 'linf'")
        if type(steps) is not int or steps < 1:
            raise ValueError(f"steps={steps!r} in {owner} must be an integer >= 1")
        if step_size is not None and not 0 < step_size < math.inf:
            raise ValueError(f"step_size={step_size!r} in {owner} must be positive and finite, or None")
        self._radius = _ramp(owner, radius)
        self.radius = self._radius.value(0.0)
        self.norm: Norm = norm
        self.steps = steps
        self.step_size = step_size
        self.random = BatchGenerator(seed, _PURPOSE)

    def set_progress(self, progress: float) -> None:
        """Bring the radius to where it is at a point of the training.

        Args:
            progress: Part of the training that is done, in [0, 1].
        """
        self.radius = self._radius.value(progress)

    def balls(self, images: Tensor) -> Balls:
        """Make the balls to search.

        Args:
            images: `(N, ...)`, in [0, 1].

        Returns:
            Balls without a box, to which points are clamped after each projection.
        """
        checked = checked_balls(images, self.radius, self.norm, (0.0, 1.0))
        return Balls(checked.origin, checked.radius, checked.norm, WHOLE_SPACE)

    def random_start(self, balls: Balls) -> Tensor:
        """Draw a point of each ball uniformly, and move it into the box of pixels.

        Args:
            balls: From `balls`.

        Returns:
            `(N, ...)`, the same points for the same images of a batch, whichever process has them.
        """
        generator, piece = self.random.on(balls.origin.device), self.random.piece
        if piece is None:
            return balls.random(generator).clamp(0.0, 1.0)
        everyone = Balls(_spread(balls.origin, piece), _spread(balls.radius, piece), balls.norm, balls.box)
        return everyone.random(generator)[piece.places].clamp(0.0, 1.0)

    def climb(self, model: nn.Module, balls: Balls, start: Tensor, height: Callable[[Tensor], Tensor]) -> Tensor:
        """Go up from a point of each ball.

        Args:
            model: Maps images to logits.
            balls: From `balls`.
            start: `(N, ...)` in the balls and the box.
            height: Maps logits `(N, K)`, in at least float32, to `(N,)` numbers to be made large.

        Returns:
            `(N, ...)`, the last points, detached.
        """
        length = 2.5 * self.radius / self.steps if self.step_size is None else self.step_size
        point = start
        # Parametrisations of torch are kept as the weights of constrained layers are.
        with parametrize.cached(), evaluating(model):
            for _ in range(self.steps):
                with torch.enable_grad():
                    point = point.detach().requires_grad_()
                    logits = model(point)
                    with full_precision():
                        total = height(widened(logits)).sum()
                    (gradient,) = torch.autograd.grad(total, point)
                point = balls.project(point.detach() + length * steepest(gradient, self.norm)).clamp(0.0, 1.0)
        return point.detach()


# In the places of a whole batch, zeros in those of others.
def _spread(values: Tensor, piece: Piece) -> Tensor:
    everyone = values.new_zeros(piece.n, *values.shape[1:])
    everyone[piece.places] = values
    return everyone


def widened(logits: Tensor) -> Tensor:
    """Take logits out of half precision.

    Args:
        logits: Floating point.

    Returns:
        Them in float32, or as they are if they are wider.
    """
    return logits.to(torch.promote_types(logits.dtype, torch.float32))


def _ramp(owner: str, radius: Scheduled) -> Ramp:
    if not isinstance(radius, (Mapping, Ramp)) and not 0 < radius < math.inf:
        raise ValueError(f"radius={radius!r} in {owner} must be positive and finite, or a ramp")
    ramp = Ramp.of(radius, f"radius in {owner}")
    if min(ramp.start, ramp.end) < 0:
        raise ValueError(f"radius={ramp!r} in {owner} must stay at least 0")
    return ramp
