"""Optimisers by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import nn

OptimizerFactory = Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer]
"""Makes an optimiser of parameters."""


def adamw(
    *, lr: float = 1e-3, weight_decay: float = 0.0, betas: tuple[float, float] = (0.9, 0.999)
) -> OptimizerFactory:
    """Choose AdamW.

    Args:
        lr: Learning rate.
        weight_decay: Decoupled decay per step, times the learning rate.
        betas: Decay of the running means of the gradient and of its square.

    Returns:
        A function that makes the optimiser.

    Paper:
        Loshchilov and Hutter 2017, arXiv:1711.05101.
    """
    return lambda parameters: torch.optim.AdamW(parameters, lr=lr, weight_decay=weight_decay, betas=betas)


def adam(
    *,
    lr: float = 1e-3,
    weight_decay: float = 0.0,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
) -> OptimizerFactory:
    """Choose Adam with coupled decay.

    Args:
        lr: Learning rate.
        weight_decay: Factor of the weights that is added to the gradient, so that its running means see the decay.
        betas: Decay of the running means of the gradient and of its square.
        eps: What is added to the root of the mean square that the step is divided by.

    Returns:
        A function that makes the optimiser.

    Paper:
        Kingma and Ba 2014, arXiv:1412.6980.
    """
    return lambda parameters: torch.optim.Adam(parameters, lr=lr, weight_decay=weight_decay, betas=betas, eps=eps)


def schedule_free_adamw(
    *,
    lr: float = 2.5e-3,
    weight_decay: float = 0.0,
    betas: tuple[float, float] = (0.9, 0.999),
    warmup_steps: int = 0,
) -> OptimizerFactory:
    """Choose AdamW with averaged iterates in place of a schedule.

    Its weights differ between training and evaluation; `Classification` switches between them.

    Args:
        lr: Learning rate.
        weight_decay: Decay per step, times the learning rate.
        betas: Interpolation towards the average, and decay of the running mean of the squared gradient.
        warmup_steps: Steps over which the rate rises.

    Returns:
        A function that makes the optimiser.

    Paper:
        Defazio et al. 2024, arXiv:2405.15682.
    """

    def make(parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        from schedulefree import AdamWScheduleFree

        optimizer: torch.optim.Optimizer = AdamWScheduleFree(
            parameters, lr=lr, weight_decay=weight_decay, betas=betas, warmup_steps=warmup_steps
        )
        return optimizer

    return make


def sgd(
    *, lr: float = 0.1, weight_decay: float = 0.0, momentum: float = 0.9, nesterov: bool = False
) -> OptimizerFactory:
    """Choose stochastic gradient descent.

    Args:
        lr: Learning rate.
        weight_decay: Factor of the weights that is added to the gradient.
        momentum: Decay of the running sum of gradients; 0 for none.
        nesterov: Look ahead along the momentum; needs a positive momentum.

    Returns:
        A function that makes the optimiser.
    """
    return lambda parameters: torch.optim.SGD(
        parameters, lr=lr, weight_decay=weight_decay, momentum=momentum, nesterov=nesterov
    )


OPTIMIZERS: dict[str, Callable[..., OptimizerFactory]] = {
    "adam": adam,
    "adamw": adamw,
    "schedule-free-adamw": schedule_free_adamw,
    "sgd": sgd,
}


def is_schedule_free(optimizer: torch.optim.Optimizer) -> bool:
    """Ask whether an optimiser keeps other weights for evaluation than for training.

    Args:
        optimizer: Any optimiser.

    Returns:
        Whether it has the switches `train()` and `eval()`.
    """
    return callable(getattr(optimizer, "train", None)) and callable(getattr(optimizer, "eval", None))
