"""Optimisers by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import nn

from onelip.optim import AggMo, Lookahead, ManifoldAdam, Muon
from onelip.optim.manifold_adam import Momentum, Precision, Retraction

OptimizerFactory = Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer]
"""Makes an optimiser of parameters. One with a method `for_model(model)` has to see the modules."""


@dataclass(frozen=True)
class ModelOptimizerFactory:
    """An optimiser factory that has to see the modules.

    Attributes:
        for_model: Makes the optimiser of all parameters of a model, which it may change.
        for_parameters: Makes one of parameters that nothing more is known of.
    """

    for_model: Callable[[nn.Module], torch.optim.Optimizer]
    for_parameters: OptimizerFactory

    def __call__(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        """Make the optimiser of parameters that nothing more is known of.

        Args:
            parameters: What it changes.

        Returns:
            The optimiser.
        """
        return self.for_parameters(parameters)


def make_optimizer(factory: OptimizerFactory, model: nn.Module) -> torch.optim.Optimizer:
    """Make the optimiser of a model.

    Args:
        factory: One of `OPTIMIZERS`, with its options.
        model: Changed in place by factories such as `manifold_adam`, its function unchanged.

    Returns:
        The optimiser of all its parameters.
    """
    for_model: Callable[[nn.Module], torch.optim.Optimizer] | None = getattr(factory, "for_model", None)
    return factory(model.parameters()) if for_model is None else for_model(model)


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


def nadam(
    *,
    lr: float = 1e-3,
    weight_decay: float = 0.0,
    betas: tuple[float, float] = (0.9, 0.999),
    momentum_decay: float = 4e-3,
) -> OptimizerFactory:
    """Choose Adam with Nesterov's momentum, the optimiser of the records.

    Args:
        lr: Learning rate.
        weight_decay: Factor of the weights that is added to the gradient.
        betas: Decay of the running means of the gradient and of its square.
        momentum_decay: How fast the first decay rises to its value, which takes a few hundred steps.

    Returns:
        A function that makes the optimiser.

    Paper:
        Dozat 2016, Incorporating Nesterov momentum into Adam.
    """
    return lambda parameters: torch.optim.NAdam(
        parameters, lr=lr, weight_decay=weight_decay, betas=betas, momentum_decay=momentum_decay
    )


def aggmo(
    *, lr: float = 0.1, weight_decay: float = 0.0, betas: tuple[float, ...] = (0.0, 0.9, 0.99)
) -> OptimizerFactory:
    """Choose aggregated momentum, see `onelip.optim.AggMo`.

    Args:
        lr: Learning rate.
        weight_decay: Factor of the weights that is added to the gradient.
        betas: Damping of each momentum.

    Returns:
        A function that makes the optimiser.

    Paper:
        Lucas, Sun, Zemel and Grosse 2018, arXiv:1804.00325.
    """
    return lambda parameters: AggMo(parameters, lr=lr, weight_decay=weight_decay, betas=betas)


def muon(
    *,
    lr: float = 0.02,
    adam_lr: float = 1e-3,
    weight_decay: float = 0.0,
    momentum: float = 0.95,
    nesterov: bool = True,
    steps: int = 6,
) -> OptimizerFactory:
    """Choose orthogonalised steps for hidden matrices and AdamW for the rest, see `onelip.optim.Muon`.

    Args:
        lr: Learning rate of the matrices.
        adam_lr: Learning rate of the other parameters, and of all where only parameters are known.
        weight_decay: Decoupled decay per step, times the learning rate.
        momentum: Decay of the running sum of the matrices' gradients.
        nesterov: Look ahead along it?
        steps: Steps of Polar Express.

    Returns:
        A function that makes the optimiser.

    Paper:
        Jordan et al. 2024, Muon; Amsel, Persson, Musco and Gower 2025, arXiv:2505.16932.
    """

    def for_model(model: nn.Module) -> torch.optim.Optimizer:
        return Muon.for_model(
            model,
            lr,
            adam_lr=adam_lr,
            weight_decay=weight_decay,
            momentum=momentum,
            nesterov=nesterov,
            steps=steps,
        )

    def for_parameters(parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        return Muon(parameters, adam_lr, weight_decay=weight_decay, momentum=momentum, nesterov=nesterov, steps=steps)

    return ModelOptimizerFactory(for_model, for_parameters)


def manifold_adam(
    *,
    lr: float = 1e-3,
    weight_decay: float = 0.0,
    betas: tuple[float, float] = (0.9, 0.999),
    retraction: Retraction = "polar",
    momentum: Momentum = "adam",
    every: int = 8,
    tolerance: float = 1e-2,
    period: int = 1,
    precision: Precision = "float32",
) -> OptimizerFactory:
    """Choose Adam on the orthogonal matrices, which switches the model by `onelip.layers.on_manifold_`.

    Args:
        lr: Learning rate.
        weight_decay: Decoupled decay per step of parameters that are not orthogonal matrices, times the learning rate.
        betas: Decay of the running means of the gradient and of its square.
        retraction: "polar" or "exponential", see `onelip.optim.ManifoldAdam`.
        momentum: "adam" or "muon".
        every: Largest number of steps from one return to the manifold to the next.
        tolerance: Distance from it that is let be in training.
        period: Steps of the other parameters for one of the matrices.
        precision: Of the products of a step: "bfloat16", "float32" or "float64".

    Returns:
        A function that makes the optimiser.

    Paper:
        Hu, Hu and Fredrikson 2026, arXiv:2601.18513 (LipNeXt).
    """

    def for_model(model: nn.Module) -> torch.optim.Optimizer:
        return ManifoldAdam.for_model(
            model,
            lr,
            weight_decay=weight_decay,
            betas=betas,
            retraction=retraction,
            momentum=momentum,
            every=every,
            tolerance=tolerance,
            period=period,
            precision=precision,
        )

    def for_parameters(parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        return ManifoldAdam(
            parameters,
            lr,
            weight_decay=weight_decay,
            betas=betas,
            retraction=retraction,
            momentum=momentum,
            every=every,
            tolerance=tolerance,
            period=period,
            precision=precision,
        )

    return ModelOptimizerFactory(for_model, for_parameters)


def lookahead(factory: OptimizerFactory, *, k: int = 6, alpha: float = 0.5) -> OptimizerFactory:
    """Wrap any optimiser in Lookahead, see `onelip.optim.Lookahead`.

    Args:
        factory: Makes the inner optimiser.
        k: Steps of it for one of the slow weights.
        alpha: Part of the way that the slow weights go.

    Returns:
        A function that makes the wrapped optimiser.

    Paper:
        Zhang, Lucas, Hinton and Ba 2019, arXiv:1907.08610.
    """
    return ModelOptimizerFactory(
        lambda model: Lookahead(make_optimizer(factory, model), k, alpha),
        lambda parameters: Lookahead(factory(parameters), k, alpha),
    )


OPTIMIZERS: dict[str, Callable[..., OptimizerFactory]] = {
    "adam": adam,
    "adamw": adamw,
    "aggmo": aggmo,
    "manifold-adam": manifold_adam,
    "muon": muon,
    "nadam": nadam,
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
