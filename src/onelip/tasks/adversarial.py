"""Adversarial training by projected gradient descent."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from onelip.attacks.ball import Norm
from onelip.attacks.objectives import objective
from onelip.losses.ramp import Scheduled
from onelip.tasks.adversary import Adversary


class PGDTraining:
    """Minimise the loss at the point of the ball around each image that projected gradient descent finds.

    min over the weights of the mean of max over |x' - x| <= radius of loss(f(x'), y); x' climbs the cross-entropy,
    whatever the loss, from a random point of the ball, inside the box [0, 1], and its last point is taken. It is found
    with the network in eval mode (see `Adversary`), and learned from in the mode that the network is in. An objective
    of `Classification`; the accuracy that it counts is that under attack.

    Args:
        radius: Of the ball, in units of the pixels; a `Ramp`, or the mapping of its arguments, to change it during the
            training.
        norm: "l2" or "linf".
        steps: Gradient steps, at least 1.
        step_size: Length of a step in the units of the pixels; None for 2.5 radius / steps.
        random_start: Begin at a uniformly random point of the ball rather than at the image.
        seed: Seed of the starts, which are a pure function of (seed, epoch, batch).

    Raises:
        ValueError: If an argument is out of range.

    Cost: one forward and backward pass for each step, without gradients of parameters, before those of a training step.
    Paper: Madry, Makelov, Schmidt, Tsipras and Vladu 2018, arXiv:1706.06083.
    """

    def __init__(
        self,
        radius: Scheduled,
        norm: Norm = "l2",
        steps: int = 10,
        step_size: float | None = None,
        random_start: bool = True,
        *,
        seed: int = 0,
    ) -> None:
        self.adversary = Adversary("PGDTraining", radius, norm, steps, step_size, seed)
        self.random_start = random_start
        self.set_progress = self.adversary.set_progress
        self.set_batch = self.adversary.random.set_batch

    def __call__(
        self, model: nn.Module, images: Tensor, labels: Tensor, loss: Callable[..., Tensor]
    ) -> tuple[Tensor, Tensor]:
        """Attack a batch, and give the loss there.

        Args:
            model: Maps images to logits.
            images: `(N, C, H, W)` in [0, 1].
            labels: `(N,)`.
            loss: Maps logits and labels to a scalar.

        Returns:
            The loss at the points that were found, and the logits there.
        """
        logits = model(self.attack(model, images, labels))
        return loss(logits, labels), logits

    def attack(self, model: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
        """Search the ball around each image.

        Args:
            model: Maps images to logits; left as it was.
            images: `(N, C, H, W)` in [0, 1].
            labels: `(N,)`.

        Returns:
            `(N, C, H, W)` in the balls and in [0, 1].
        """
        balls = self.adversary.balls(images)
        start = images
        if self.random_start:
            start = self.adversary.random_start(balls)

        def height(logits: Tensor) -> Tensor:
            return objective("ce", logits.shape[1])(logits, labels, labels)

        return self.adversary.climb(model, balls, start, height)
