"""Measure a critic on fresh samples."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from onelip.bounds import UnknownLipschitzConstant, lipschitz_bound
from onelip.layers import to_plain
from onelip.linalg import Bound
from onelip.transport.discrete import discrete_wasserstein1
from onelip.transport.estimate import WassersteinEstimate, divided
from onelip.transport.sampler import HELD_OUT, Sampler, batches, check_counts, sample_generator


def estimate_wasserstein1(
    critic: nn.Module,
    sampler_p: Sampler,
    sampler_q: Sampler,
    *,
    n_samples: int = 10_000,
    batch_size: int = 1000,
    seed: int = 0,
    n_discrete: int = 0,
    exact: float | None = None,
    tighten: bool = False,
    require_proof: bool = True,
) -> WassersteinEstimate:
    """Bound the Wasserstein-1 distance from below by a critic, on samples that no training has seen.

    The critic is rebuilt of plain modules and evaluated in float64, in eval mode and without gradients; what is proved
    and divided by is the constant of just these numbers. The critic itself is left alone. Samples come from the stream
    `HELD_OUT` of the seed, those of p before those of q.

    Args:
        critic: Maps `(n, *shape)` to `(n,)` or `(n, 1)`.
        sampler_p: The distribution where the critic is high.
        sampler_q: The one where it is low.
        n_samples: How many of each, at least 2.
        batch_size: So many go through the critic at once.
        seed: Of the held-out samples.
        n_discrete: Compare the first so many of each with the exact distance of these finite sets; needs SciPy.
        exact: The distance, where it is known, to be kept beside.
        tighten: Divide by the constant of runs of dense layers as a whole where it is smaller than their product, which
            takes seconds? The bound is then larger for networks that lose norm, such as those with ReLU.
        require_proof: Refuse a critic whose constant is only estimated? If not, the result says that it is.

    Returns:
        The bound.

    Raises:
        UnknownLipschitzConstant: The critic's constant is not known, or not proved.
        ValueError: An argument is out of range, or the critic returns something else than finite numbers.
    """
    check_counts("estimate_wasserstein1", batch_size=batch_size)
    check_counts("estimate_wasserstein1", 2, n_samples=n_samples)
    check_counts("estimate_wasserstein1", 0, n_discrete=n_discrete)
    if n_discrete > n_samples:
        raise ValueError(f"n_discrete={n_discrete} in estimate_wasserstein1 is more than n_samples={n_samples}")
    plain = to_plain(critic).double()
    generator = sample_generator(seed, HELD_OUT)
    measured = []
    for name, sampler in (("sampler_p", sampler_p), ("sampler_q", sampler_q)):
        drawn = batches(sampler, n_samples, batch_size, generator, name)
        measured.append(_measure(plain, drawn, n_discrete))
    (f_p, first_p), (f_q, first_q) = measured
    if first_p.shape[1:] != first_q.shape[1:]:
        shapes = f"{tuple(first_p.shape[1:])} and {tuple(first_q.shape[1:])}"
        raise ValueError(f"sampler_p and sampler_q in estimate_wasserstein1 have samples of shapes {shapes}")
    constant = critic_constant(plain, tuple(first_p.shape[1:]), tighten=tighten, require_proof=require_proof)
    discrete = discrete_wasserstein1(first_p, first_q).value if n_discrete else None
    difference = f_p[:n_discrete].mean() - f_q[:n_discrete].mean()
    return WassersteinEstimate(
        difference=float(f_p.mean() - f_q.mean()),
        variance_p=float(f_p.var()),
        variance_q=float(f_q.var()),
        n_samples=n_samples,
        constant=constant,
        exact=exact,
        n_discrete=n_discrete,
        discrete=discrete,
        discrete_bound=divided(float(difference), constant.value) if n_discrete else None,
    )


def critic_constant(
    critic: nn.Module, shape: tuple[int, ...], *, tighten: bool = False, require_proof: bool = True
) -> Bound:
    """Bound the Lipschitz constant of a critic in l2.

    Args:
        critic: Any module.
        shape: Shape of one sample.
        tighten: Bound runs of dense layers as a whole?
        require_proof: Refuse a constant that is only estimated?

    Returns:
        The constant.

    Raises:
        UnknownLipschitzConstant: It is not known, or not proved.
    """
    network = lipschitz_bound(critic, shape, search_steps=None if tighten else 0)
    constant = network.best if tighten else network.bound
    if require_proof and not constant.proved:
        reason = f"its constant is not proved ({constant.method}); require_proof=False takes it as it is"
        raise UnknownLipschitzConstant("critic", type(critic).__name__, reason)
    return constant


def critic_values(critic: nn.Module, x: Tensor) -> Tensor:
    """Evaluate a critic.

    Args:
        critic: Maps `(n, *shape)` to `(n,)` or `(n, 1)`.
        x: `(n, *shape)`.

    Returns:
        `(n,)`.

    Raises:
        ValueError: It returns another shape.
    """
    values = critic(x)
    if values.shape not in ((len(x),), (len(x), 1)):
        raise ValueError(
            f"the critic returned shape {tuple(values.shape)} for {len(x)} samples; it must be (n,) or (n, 1)"
        )
    return values.view(len(x))


@torch.no_grad()
def _measure(critic: nn.Module, drawn: Iterator[Tensor], n_kept: int) -> tuple[Tensor, Tensor]:
    # The values, and the first samples, at least one for its shape.
    like = next((p for p in critic.parameters()), torch.zeros((), dtype=torch.float64))
    values: list[Tensor] = []
    kept: list[Tensor] = []
    for x in drawn:
        x = x.to(like.device, torch.float64)
        values.append(critic_values(critic, x).cpu())
        if sum(map(len, kept)) < max(1, n_kept):
            kept.append(x.cpu())
    every = torch.cat(values)
    if not every.isfinite().all():
        raise ValueError("the critic returned infinity or NaN for a held-out sample in estimate_wasserstein1")
    return every, torch.cat(kept)[: max(1, n_kept)]
