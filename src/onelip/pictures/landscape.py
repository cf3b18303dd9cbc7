"""Critics on the line and in the plane, beside the function that they should be."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from onelip.layers import to_plain
from onelip.pictures.landscape_plot import draw_curve, draw_surface
from onelip.transport import HELD_OUT, Sampler, discrete_wasserstein1, optimal_potential, sample_generator
from onelip.transport.evaluation import critic_constant, critic_values
from onelip.transport.potentials import Potential
from onelip.transport.sampler import check_counts, check_positive, draw

Values = npt.NDArray[np.float64]

ROOM = 0.12
"""What is drawn goes beyond the samples by this part of their extent."""


@dataclass(frozen=True, eq=False)
class CriticCurve:
    """A critic on the line, divided by its proved constant, and a best potential with the same mean.

    Attributes:
        positions: `(k,)`, rising.
        critic: `(k,)`.
        dual: `(k,)`.
        dual_of: What the potential is the best for: "the distributions" or "these samples".
        samples_p: `(n,)` where the critic should be high.
        samples_q: `(n,)` where it should be low.
        constant: The proved constant that the critic was divided by.
    """

    positions: Values
    critic: Values
    dual: Values
    dual_of: str
    samples_p: Values
    samples_q: Values
    constant: float

    def plot(self, path: str | Path) -> None:
        """Draw both functions above the samples; needs matplotlib.

        Args:
            path: Where; the ending, such as .png, .svg or .pdf, says in which format.
        """
        draw_curve(self.positions, self.critic, self.dual, self.samples_p, self.samples_q, path, dual_of=self.dual_of)


@dataclass(frozen=True, eq=False)
class CriticSurface:
    """A critic in the plane, divided by its proved constant, and a best potential with the same mean.

    Attributes:
        x: `(w,)` first coordinates, rising.
        y: `(h,)` second ones, rising.
        critic: `(h, w)`.
        dual: `(h, w)`.
        gradient_norm: `(h, w)` of the divided critic, at most 1 up to rounding.
        dual_of: What the potential is the best for: "the distributions" or "these samples".
        samples_p: `(n, 2)` where the critic should be high.
        samples_q: `(n, 2)` where it should be low.
        constant: The proved constant that the critic was divided by.
    """

    x: Values
    y: Values
    critic: Values
    dual: Values
    gradient_norm: Values
    dual_of: str
    samples_p: Values
    samples_q: Values
    constant: float

    def plot(self, path: str | Path) -> None:
        """Draw contours of both functions and their difference, and the norm of the gradient; needs matplotlib.

        Args:
            path: Where; the ending, such as .png, .svg or .pdf, says in which format.
        """
        draw_surface(
            (self.x, self.y), self.critic, self.dual, self.gradient_norm, (self.samples_p, self.samples_q), path,
            dual_of=self.dual_of,
        )  # fmt: skip


def critic_curve(
    critic: nn.Module,
    sampler_p: Sampler,
    sampler_q: Sampler,
    *,
    n_samples: int = 200,
    resolution: int = 801,
    seed: int = 0,
) -> CriticCurve:
    """Evaluate a critic on the line, beside the best potential.

    That is the one of the distributions where `onelip.transport.optimal_potential` knows it, and else the one of the
    samples that are drawn, which needs SciPy.

    Args:
        critic: Maps `(n, 1)` to `(n,)` or `(n, 1)`, of proved constant.
        sampler_p: Where it should be high.
        sampler_q: Where it should be low.
        n_samples: How many of each to draw.
        resolution: Number of positions.
        seed: Of the samples.

    Returns:
        What `plot` draws.

    Raises:
        ValueError: The samples are not on the line, or an argument is out of range.
    """
    measured = _measure(critic, sampler_p, sampler_q, (n_samples, resolution, seed), 1)
    (positions,) = _axes(measured, resolution)
    f, _ = measured.values(positions[:, None])
    dual = measured.dual(positions[:, None])
    f, dual = _centred(f, dual, measured)
    x, y = (samples.flatten().numpy() for samples in measured.samples)
    return CriticCurve(positions.numpy(), f.numpy(), dual.numpy(), measured.dual_of, x, y, measured.constant)


def critic_surface(
    critic: nn.Module,
    sampler_p: Sampler,
    sampler_q: Sampler,
    *,
    n_samples: int = 200,
    resolution: int = 161,
    seed: int = 0,
) -> CriticSurface:
    """Evaluate a critic in the plane, with its gradient, beside the best potential.

    That is the one of the distributions where `onelip.transport.optimal_potential` knows it, and else the one of the
    samples that are drawn, which needs SciPy.

    Args:
        critic: Maps `(n, 2)` to `(n,)` or `(n, 1)`, of proved constant.
        sampler_p: Where it should be high.
        sampler_q: Where it should be low.
        n_samples: How many of each to draw.
        resolution: Number of positions along each axis.
        seed: Of the samples.

    Returns:
        What `plot` draws.

    Raises:
        ValueError: The samples are not in the plane, or an argument is out of range.
    """
    measured = _measure(critic, sampler_p, sampler_q, (n_samples, resolution, seed), 2)
    x, y = _axes(measured, resolution)
    grid = torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1)
    f, slopes = measured.values(grid.view(-1, 2))
    f, dual = _centred(f, measured.dual(grid.view(-1, 2)), measured)
    critic_map, dual_map, slope_map = (values.view(len(y), len(x)).numpy() for values in (f, dual, slopes))
    return CriticSurface(
        x.numpy(),
        y.numpy(),
        critic_map,
        dual_map,
        slope_map,
        measured.dual_of,
        measured.samples[0].numpy(),
        measured.samples[1].numpy(),
        measured.constant,
    )


@dataclass(frozen=True, eq=False)
class _Measured:
    critic: nn.Module
    constant: float
    dual: Potential
    dual_of: str
    samples: tuple[Tensor, Tensor]

    def values(self, z: Tensor) -> tuple[Tensor, Tensor]:
        z = z.detach().clone().requires_grad_()
        f = critic_values(self.critic, z) / self.constant
        (gradient,) = torch.autograd.grad(f.sum(), z)
        return f.detach(), gradient.norm(dim=1)


def _measure(
    critic: nn.Module, sampler_p: Sampler, sampler_q: Sampler, numbers: tuple[int, int, int], dim: int
) -> _Measured:
    n_samples, resolution, seed = numbers
    check_counts("a landscape", 2, n_samples=n_samples, resolution=resolution)
    generator = sample_generator(seed, HELD_OUT)
    drawn = [draw(s, n_samples, generator, name) for s, name in ((sampler_p, "sampler_p"), (sampler_q, "sampler_q"))]
    for samples in drawn:
        if samples.shape[1:] != (dim,):
            raise ValueError(f"samples of shape {tuple(samples.shape[1:])} have no landscape here; it must be ({dim},)")
    x, y = (samples.detach().cpu().double() for samples in drawn)
    plain = to_plain(critic).cpu().double()
    constant = critic_constant(plain, (dim,)).value
    check_positive("the critic of a landscape", constant=constant)
    dual, dual_of = _best(sampler_p, sampler_q, x, y)
    return _Measured(plain, constant, dual, dual_of, (x, y))


def _best(sampler_p: Sampler, sampler_q: Sampler, x: Tensor, y: Tensor) -> tuple[Potential, str]:
    try:
        return optimal_potential(sampler_p, sampler_q), "the distributions"
    except ValueError:
        return discrete_wasserstein1(x, y).potential, "these samples"


def _axes(measured: _Measured, resolution: int) -> list[Tensor]:
    both = torch.cat(measured.samples)
    low, high = both.min(dim=0).values, both.max(dim=0).values
    room = (ROOM * (high - low).max()).clamp(min=1e-9)
    return [
        torch.linspace(float(a - room), float(b + room), resolution, dtype=torch.float64)
        for a, b in zip(low, high, strict=True)
    ]


def _centred(f: Tensor, dual: Tensor, measured: _Measured) -> tuple[Tensor, Tensor]:
    # Both are free up to a constant: their means over all samples become zero.
    both = torch.cat(measured.samples)
    return f - measured.values(both)[0].mean(), dual - measured.dual(both).mean()
