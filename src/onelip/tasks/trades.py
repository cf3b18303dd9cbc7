"""TRADES: accuracy on the images, and predictions that do not change around them."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from onelip.attacks.ball import Norm
from onelip.attacks.pgd import evaluating
from onelip.linalg import full_precision
from onelip.losses.ramp import Scheduled
from onelip.tasks.adversary import Adversary, widened
from onelip.tasks.whole_batch import whole

_NOISE = 1e-3
"""Deviation of the normal noise that the search begins with, as published: at the image the gradient is 0."""


class TRADES:
    """Minimise loss(f(x), y) + beta max over |x' - x| <= radius of KL(p(x) || p(x')), p the softmax of the logits.

    x' climbs the divergence from the image with a little noise, inside the box [0, 1]; it is found with the network in
    eval mode (see `Adversary`). Images and points then go through the network as one batch, in the mode that it is in,
    so that weights are built once; batch statistics are those of both together. An objective of `Classification`; the
    accuracy that it counts is that of the images. With the cross-entropy as loss it is the method as published.

    Args:
        radius: Of the ball, in units of the pixels; a `Ramp`, or the mapping of its arguments, to change it during the
            training.
        norm: "l2" or "linf".
        steps: Gradient steps, at least 1.
        step_size: Length of a step in the units of the pixels; None for 2.5 radius / steps.
        beta: Weight of the divergence, 1 / lambda in the paper, positive.
        seed: Seed of the noise, which is a pure function of (seed, epoch, batch).

    Raises:
        ValueError: If an argument is out of range.

    Cost: one forward and backward pass for each step, without gradients of parameters, and a training step on twice as
    many images.
    Paper: Zhang, Yu, Jiao, Xing, El Ghaoui and Jordan 2019, arXiv:1901.08573, equation 5 and algorithm 1.
    """

    def __init__(
        self,
        radius: Scheduled,
        norm: Norm = "l2",
        steps: int = 10,
        step_size: float | None = None,
        beta: float = 6.0,
        *,
        seed: int = 0,
    ) -> None:
        if not 0 < beta < math.inf:
            raise ValueError(f"beta={beta!r} in TRADES must be positive and finite")
        self.adversary = Adversary("TRADES", radius, norm, steps, step_size, seed)
        self.beta = beta
        self.set_progress = self.adversary.set_progress
        self.set_batch = self.adversary.random.set_batch

    def __call__(
        self, model: nn.Module, images: Tensor, labels: Tensor, loss: Callable[..., Tensor]
    ) -> tuple[Tensor, Tensor]:
        """Attack a batch, and give the loss with what the predictions change.

        Args:
            model: Maps images to logits.
            images: `(N, C, H, W)` in [0, 1].
            labels: `(N,)`.
            loss: Maps logits and labels to a scalar.

        Returns:
            The loss at the images and beta times the mean divergence, and the logits at the images.
        """
        points = self.attack(model, images)
        logits, moved = model(torch.cat([images, points])).split(len(images))
        with full_precision():
            divergence = whole(_divergence(widened(logits), widened(moved)), self.adversary.random.piece).mean()
        return loss(logits, labels) + self.beta * divergence, logits

    def attack(self, model: nn.Module, images: Tensor) -> Tensor:
        """Search the ball around each image for another prediction.

        Args:
            model: Maps images to logits; left as it was.
            images: `(N, C, H, W)` in [0, 1].

        Returns:
            `(N, C, H, W)` in the balls and in [0, 1].
        """
        balls = self.adversary.balls(images)
        noise = self.adversary.random.normal(images.shape, images)
        start = balls.project(images + _NOISE * noise).clamp(0.0, 1.0)
        with evaluating(model), torch.no_grad():
            known = widened(model(images))
        return self.adversary.climb(model, balls, start, lambda logits: _divergence(known, logits))


def _divergence(logits: Tensor, others: Tensor) -> Tensor:
    log_p, log_q = logits.log_softmax(1), others.log_softmax(1)
    return (log_p.exp() * (log_p - log_q)).sum(1)
