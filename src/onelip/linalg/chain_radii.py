"""Choose the radii that make the ellipsoid at the end of a chain small. Nothing here is proved or needs to be.

The start is ECLipsE-Fast's closed form: one radius h per activation, with h^2 = r (m + r) sigma and sigma the top
eigenvalue before it (for slopes in [0, 1], h^2 = sigma / 2, its multiplier 2 / sigma), which is never worse than the
product of norms. From there gradient steps change every radius, towards the optimum of LipSDP.

Papers: Xu and Sivaranjani 2024, NeurIPS (ECLipsE-Fast); Fazlyab et al. 2019, arXiv:1906.04893 (LipSDP); Syed and Hu
2025, arXiv:2503.14297 (other feasible multipliers in closed form).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from onelip.linalg.dense_chain import Factors, Keep, Link, Matrix, Slopes

_RATE = 0.1
"""Step size of Adam on logarithms of radii, decayed to zero. Measured on random ReLU networks of 3 to 6 layers: 0.03
is slower, 0.3 overshoots."""

_POWER = 16.0
"""The loss is the norm of the eigenvalues in this power: smooth where several are largest, as at the optimum."""

STEPS = 20
"""Gradient steps where none are asked for."""

_FLOPS = 5e10
"""Operations that these may take, about two seconds of a core: larger chains get fewer."""

_ROOM = 1 + 1e-7
"""Keeps B below 1 in spite of the rounding that the proof adds."""


@dataclass(frozen=True, eq=False)
class _Unit:
    """A chain whose matrices and factors are divided by powers of two, and the product of these up to each part."""

    links: list[Link]
    scales: list[float]


@dataclass(frozen=True, eq=False)
class _Parameters:
    """What the gradient steps change: a logarithm for each group, and the logit of B's largest eigenvalue."""

    logarithms: Tensor
    logit: Tensor


def choose_radii(links: Sequence[Link], steps: int | None = None) -> list[Tensor]:
    """Look for radii for `chain_image`.

    Args:
        links: A chain that starts with a matrix.
        steps: Gradient steps, about 60 n^3 operations for each activation of n entries; 0 for the closed form, None
            for `STEPS`, or fewer on large chains.

    Returns:
        `(n,)` for each activation in turn.
    """
    unit = _unit(links)
    slopes = [link for link in unit.links if isinstance(link, Slopes)]
    starts = [_start(slopes, weights) for weights in (None, _row_sizes(unit))]
    with torch.no_grad():
        values = [_attempted_loss(unit, start) for start in starts]
    best, value = min(zip(starts, values, strict=True), key=lambda pair: float(pair[1]))
    if steps is None:
        steps = min(STEPS, int(_FLOPS / (1 + sum(60 * _size(link) ** 3 for link in links))))
    if not math.isfinite(float(value)):
        return [torch.ones_like(link.middle) for link in slopes]
    if steps > 0 and slopes:
        best = _descend(unit, best, float(value), steps)
    with torch.no_grad():
        radii = _loss(unit, best)[1]
    scales = [s for s, link in zip(unit.scales, unit.links, strict=True) if isinstance(link, Slopes)]
    return [h * scale for h, scale in zip(radii, scales, strict=True)]


def _size(link: Link) -> int:
    return len(link.middle) if isinstance(link, Slopes) else 0


def _unit(links: Sequence[Link]) -> _Unit:
    unit = _Unit([], [])
    total = 1.0
    for link in links:
        if isinstance(link, Matrix):
            scale = _power_of_two(
                float(torch.linalg.matrix_norm(link.weight)) / math.sqrt(max(1, min(link.weight.shape)))
            )
            unit.links.append(Matrix(link.weight / scale))
            total *= scale
        elif isinstance(link, Factors):
            scale = _power_of_two(float(link.values.abs().max()))
            unit.links.append(Factors(link.values / scale, 0))
            total *= scale
        else:
            unit.links.append(link)
        unit.scales.append(total)
    return unit


def _power_of_two(x: float) -> float:
    return 2.0 ** math.frexp(x)[1] if 1e-290 < x < 1e290 else 1.0


def _row_sizes(unit: _Unit) -> list[Tensor]:
    # Logarithms of the lengths of rows in front of each activation: radii in proportion to them serve rows of
    # different size better.
    sizes, rows = [], torch.ones(1, dtype=torch.float64)
    for link in unit.links:
        if isinstance(link, Matrix):
            rows = torch.linalg.vector_norm(link.weight, dim=1)
        elif isinstance(link, Factors):
            rows = rows * link.values.abs()
        elif isinstance(link, Keep):
            rows = rows[link.start : link.stop]
        else:
            sizes.append(rows.clamp_min(1e-3 * float(rows.max()) + 1e-300).log())
    return sizes


def _start(slopes: list[Slopes], weights: list[Tensor] | None) -> list[_Parameters]:
    parameters = []
    for i, link in enumerate(slopes):
        count = int(link.groups.max()) + 1
        logarithms = torch.zeros(count, dtype=torch.float64)
        if weights is not None:
            lowest = torch.full_like(logarithms, -math.inf)
            logarithms = lowest.scatter_reduce(0, link.groups, weights[i], "amax").clamp_min(-700)
        active = link.spread > 0
        share = link.spread[active] / (link.spread + link.middle.abs())[active]
        largest = min(0.95, float(share.max())) if bool(active.any()) else 0.5
        logit = math.log(largest / (1 - largest)) if largest > 0 else -30.0
        parameters.append(_Parameters(logarithms, torch.tensor(logit, dtype=torch.float64)))
    return parameters


def _attempted_loss(unit: _Unit, parameters: list[_Parameters]) -> Tensor:
    try:
        return _loss(unit, parameters)[0]
    # torch exports it without saying so. A matrix is not finite or, by rounding, not positive definite.
    except torch.linalg.LinAlgError:  # type: ignore[attr-defined]
        return torch.tensor(math.inf)


def _loss(unit: _Unit, parameters: list[_Parameters]) -> tuple[Tensor, list[Tensor]]:
    # The logarithm of the power norm of the eigenvalues at the end, and the radii.
    c, radii = torch.zeros(0), []
    first, remaining = True, iter(parameters)
    for link in unit.links:
        if isinstance(link, Matrix):
            c = link.weight @ link.weight.T if first else link.weight @ c @ link.weight.T
            first = False
        elif isinstance(link, Factors):
            c = link.values[:, None] * c * link.values
        elif isinstance(link, Keep):
            c = c[link.start : link.stop, link.start : link.stop]
        else:
            c, h = _slopes_image(link, next(remaining), c)
            radii.append(h)
    values = torch.linalg.eigvalsh(c).clamp_min(1e-300)
    top = values[-1].detach()
    return top.log() + (values / top).pow(_POWER).sum().log() / _POWER, radii


def _slopes_image(link: Slopes, parameters: _Parameters, c: Tensor) -> tuple[Tensor, Tensor]:
    relative = parameters.logarithms[link.groups].exp()
    active = torch.nonzero(link.spread > 0).flatten()
    if len(active) == 0:
        return link.middle[:, None] * c * link.middle, relative
    inner = (link.spread / relative)[active]
    top = torch.linalg.eigvalsh(inner[:, None] * c[active][:, active] * inner)[-1].clamp_min(1e-300)
    linear = bool(link.middle.any())
    h = relative * (top / parameters.logit.sigmoid()).sqrt() if linear else relative * (top * _ROOM).sqrt()
    squares = torch.diag(torch.where(link.spread > 0, h.square(), 0.0))
    if not linear:
        return squares, h
    ratio = (link.spread / h)[active]
    b = ratio[:, None] * c[active][:, active] * ratio
    f = link.middle[:, None] * c[:, active] * ratio
    factor = torch.linalg.cholesky(torch.eye(len(b), dtype=b.dtype) - b)
    half = torch.linalg.solve_triangular(factor, f.T, upper=False)
    return link.middle[:, None] * c * link.middle + half.T @ half + squares, h


def _descend(unit: _Unit, start: list[_Parameters], value: float, steps: int) -> list[_Parameters]:
    leaves = [_Parameters(p.logarithms.clone().requires_grad_(), p.logit.clone().requires_grad_()) for p in start]
    variables = [variable for p in leaves for variable in (p.logarithms, p.logit)]
    moments = [(torch.zeros_like(v), torch.zeros_like(v)) for v in variables]
    best, least = start, value
    for step in range(1, steps + 2):
        with torch.enable_grad():
            loss = _attempted_loss(unit, leaves)
        if not math.isfinite(float(loss.detach())):
            break
        if float(loss.detach()) < least:
            least = float(loss.detach())
            best = [_Parameters(p.logarithms.detach().clone(), p.logit.detach().clone()) for p in leaves]
        gradients = torch.autograd.grad(loss, variables, materialize_grads=True)
        _adam_step(variables, gradients, moments, step, steps)
    return best


def _adam_step(
    variables: list[Tensor], gradients: Sequence[Tensor], moments: list[tuple[Tensor, Tensor]], step: int, steps: int
) -> None:
    # By hand, because the first use of torch.optim takes seconds to import.
    rate = _RATE * (1 + math.cos(math.pi * min(1.0, (step - 1) / steps))) / 2
    with torch.no_grad():
        for variable, gradient, (first, second) in zip(variables, gradients, moments, strict=True):
            first.mul_(0.9).add_(0.1 * gradient)
            second.mul_(0.999).add_(0.001 * gradient.square())
            size = (second / (1 - 0.999**step)).sqrt() + 1e-8
            variable.sub_(rate * first / (1 - 0.9**step) / size)
