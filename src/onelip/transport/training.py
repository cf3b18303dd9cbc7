"""Train a critic on fresh samples, and say what it knows."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from onelip.layers import retract_
from onelip.optim import ManifoldAdam
from onelip.transport.estimate import WassersteinEstimate
from onelip.transport.evaluation import critic_values, estimate_wasserstein1
from onelip.transport.exact import exact_wasserstein1
from onelip.transport.sampler import TRAINING, Sampler, check_counts, check_positive, draw, sample_generator
from onelip.transport.start import center_biases_

Progress = Callable[[int, float], None]
"""Called after each step with its number, from 0 on, and its dual objective, not divided by any constant."""


def dual_objective(critic: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """Compute `mean f(x) - mean f(y)`, which is to be maximised; both go through the critic in one batch.

    Args:
        critic: f, maps `(n, *shape)` to `(n,)` or `(n, 1)`.
        x: `(n, *shape)` samples of p.
        y: `(m, *shape)` samples of q.

    Returns:
        A scalar.
    """
    values = critic_values(critic, torch.cat([x, y]))
    return values[: len(x)].mean() - values[len(x) :].mean()


def wasserstein1(
    sampler_p: Sampler,
    sampler_q: Sampler,
    critic: nn.Module,
    *,
    n_steps: int = 1000,
    batch_size: int = 256,
    lr: float = 0.01,
    seed: int = 0,
    held_out_p: Sampler | None = None,
    held_out_q: Sampler | None = None,
    n_samples: int = 10_000,
    n_discrete: int = 0,
    progress: Progress | None = None,
) -> WassersteinEstimate:
    """Bound the Wasserstein-1 distance in l2 from below: train a critic, then measure it on fresh samples.

    By Kantorovich and Rubinstein the distance is the largest `E_p f - E_q f` over all 1-Lipschitz f, so that every
    critic of proved constant gives a lower bound. `train_critic` and `estimate_wasserstein1` are the two halves, with
    more options.

    Args:
        sampler_p: `(n, generator)` to `(n, *shape)` samples: a distribution of this package or any function.
        sampler_q: Likewise of the other distribution.
        critic: Maps `(n, *shape)` to `(n,)` or `(n, 1)`, of parts whose constants are known; trained in place.
        n_steps: Steps of training.
        batch_size: Samples of each distribution in a step.
        lr: First learning rate.
        seed: Of all samples; weights are those that the critic has.
        held_out_p: Where the samples of the measurement come from; by default from the same sampler, with other random
            numbers. For a finite set that stands for a larger population, such as images, another set.
        held_out_q: Likewise.
        n_samples: So many of each are measured.
        n_discrete: So many of them are compared with their exact distance; needs SciPy.
        progress: Called after each step.

    Returns:
        The bound, with the exact distance beside it where `exact_wasserstein1` knows it.
    """
    train_critic(
        critic, sampler_p, sampler_q, n_steps=n_steps, batch_size=batch_size, lr=lr, seed=seed, progress=progress
    )
    held_out_p, held_out_q = held_out_p or sampler_p, held_out_q or sampler_q
    return estimate_wasserstein1(
        critic,
        held_out_p,
        held_out_q,
        n_samples=n_samples,
        batch_size=min(n_samples, 1000),
        seed=seed,
        n_discrete=n_discrete,
        exact=_known(held_out_p, held_out_q),
    )


def train_critic(
    critic: nn.Module,
    sampler_p: Sampler,
    sampler_q: Sampler,
    *,
    n_steps: int = 1000,
    batch_size: int = 256,
    seed: int = 0,
    lr: float = 0.01,
    optimizer: torch.optim.Optimizer | None = None,
    center: bool = True,
    progress: Progress | None = None,
) -> list[float]:
    """Maximise the dual objective over a critic; the learning rate falls to zero along half a cosine.

    The samples of a step come from the stream `TRAINING` of the seed, those of p before those of q.

    Args:
        critic: Trained in place, in train mode, and put back into its own mode.
        sampler_p: Where it is to be high.
        sampler_q: Where it is to be low.
        n_steps: Steps of training.
        batch_size: Samples of each distribution in a step.
        seed: Of the samples.
        lr: First learning rate of `onelip.optim.ManifoldAdam`, which the critic is trained with.
        optimizer: Another one, with its own learning rates, in place of that; `lr` is then not used.
        center: Begin with `center_biases_` on the samples of the first step? Not for a critic that was trained before.
        progress: Called after each step.

    Returns:
        The dual objective of each step, not divided by any constant.

    Raises:
        ValueError: An argument is out of range, or the critic has no parameters.
        FloatingPointError: The objective is no longer finite.
    """
    check_counts("train_critic", n_steps=n_steps, batch_size=batch_size)
    check_positive("train_critic", lr=lr)
    like = next(critic.parameters(), None)
    if like is None:
        raise ValueError(f"the critic {type(critic).__name__} has no parameters to train in train_critic")

    def samples(step: int) -> list[Tensor]:
        generator = sample_generator(seed, TRAINING, step)
        both = (("sampler_p", sampler_p), ("sampler_q", sampler_q))
        return [draw(s, batch_size, generator, name).to(like) for name, s in both]

    if center:
        center_biases_(critic, torch.cat(samples(0)))
    used = ManifoldAdam.for_model(critic, lr) if optimizer is None else optimizer
    objectives: list[float] = []
    with _training(critic, used) as scale_:
        for step in range(n_steps):
            scale_(0.5 + 0.5 * math.cos(math.pi * step / n_steps))
            objectives.append(_step(critic, used, *samples(step)))
            if not math.isfinite(objectives[-1]):
                raise FloatingPointError(f"the dual objective is {objectives[-1]} in step {step} of train_critic")
            if progress is not None:
                progress(step, objectives[-1])
    return objectives


def _step(critic: nn.Module, optimizer: torch.optim.Optimizer, x: Tensor, y: Tensor) -> float:
    optimizer.zero_grad()
    objective = dual_objective(critic, x, y)
    objective.neg().backward()
    optimizer.step()
    if not isinstance(optimizer, ManifoldAdam):
        retract_(critic)
    return objective.item()


@contextmanager
def _training(critic: nn.Module, optimizer: torch.optim.Optimizer) -> Iterator[Callable[[float], None]]:
    # What is put back afterwards: the modes of the modules and the learning rates.
    modes = [(module, module.training) for module in critic.modules()]
    rates = [group["lr"] for group in optimizer.param_groups]

    def scale_(factor: float) -> None:
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = factor * rate

    critic.train()
    try:
        yield scale_
    finally:
        scale_(1.0)
        for module, training in modes:
            module.training = training


def _known(p: Sampler, q: Sampler) -> float | None:
    try:
        return exact_wasserstein1(p, q)
    except ValueError:
        return None
