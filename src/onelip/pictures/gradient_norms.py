"""How steep a scalar function is: norms of its gradient with respect to the input, point by point."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from onelip.bounds import lipschitz_bound
from onelip.layers import to_plain
from onelip.linalg import Bound
from onelip.pictures.canvas import new_figure, plain_axes, save
from onelip.pictures.colours import ATTACK, CLEAN, PROVED

Values = npt.NDArray[np.float64]

N_BINS = 50
"""Bars between 0 and the constant."""


@dataclass(frozen=True, eq=False)
class GradientNorms:
    """l2 norms of the gradient of a scalar function at some points, and the constant that none of them can exceed.

    Attributes:
        values: `(N,)` norms in units of f per unit of the input, rounded as float64 rounds.
        bound: The Lipschitz constant of f.
    """

    values: Values
    bound: Bound

    def quantiles(self, *levels: float) -> tuple[float, ...]:
        """Find the norms that given shares of the points stay below.

        Args:
            *levels: Shares from 0, the least norm, to 1, the largest.

        Returns:
            A norm for each.
        """
        return tuple(float(value) for value in np.quantile(self.values, levels))

    def draw(self, axes: Any) -> None:
        """Draw the histogram.

        Args:
            axes: Matplotlib axes.
        """
        top = max(self.bound.value, float(self.values.max()))
        counts, edges = np.histogram(self.values, N_BINS, range=(0.0, top))
        shares = 100 * counts / len(self.values)
        axes.stairs(shares, edges, fill=True, facecolor=f"{PROVED}3a", edgecolor=PROVED, label="share of the points")
        claim = "proved" if self.bound.proved else "ESTIMATE"
        axes.axvline(self.bound.value, color=ATTACK, linewidth=1.4, label=f"constant {self.bound.value:.5g}, {claim}")
        (middle,) = self.quantiles(0.5)
        axes.axvline(middle, color=CLEAN, linewidth=1.2, linestyle=(0, (4, 2)), label=f"median {middle:.3f}")
        axes.set(xlabel="norm of the gradient", ylabel="points (%)", xlim=(0, 1.02 * top))
        axes.set_ylim(bottom=0)
        # Norms of 1-Lipschitz functions that were trained for it are on the right.
        axes.legend(frameon=False, fontsize=8, loc="upper left")

    def plot(self, path: str | Path) -> None:
        """Draw the histogram into a file; needs matplotlib.

        Args:
            path: Where; the ending, such as .png, .svg or .pdf, says in which format.
        """
        figure = new_figure(4.8, 3.8)
        self.draw(plain_axes(figure))
        save(figure, path)


def gradient_norms(model: nn.Module, points: Tensor, *, batch_size: int = 4096) -> GradientNorms:
    """Measure the gradient of a scalar network, evaluated in float64 in the plain form whose constant is proved.

    Args:
        model: Maps `(N, ...)` to `(N,)` or `(N, 1)`; left as it was.
        points: `(N, ...)`, N >= 1.
        batch_size: Points evaluated at a time.

    Returns:
        The norms.

    Raises:
        ValueError: If there is no point, or the network has more than one output.
    """
    if len(points) == 0 or points.dim() < 2 or batch_size < 1:
        raise ValueError(
            f"points of shape {tuple(points.shape)} and batch_size={batch_size} in gradient_norms must be (N, ...) "
            "with N >= 1, and at least 1"
        )
    plain = to_plain(model).double()
    found = []
    for batch in points.detach().double().split(batch_size):
        x = batch.clone().requires_grad_(True)
        with torch.enable_grad():
            (gradient,) = torch.autograd.grad(scalar_values(plain, x, "gradient_norms").sum(), x)
        found.append(torch.linalg.vector_norm(gradient.flatten(1), dim=1).cpu().numpy())
    return GradientNorms(np.concatenate(found), lipschitz_bound(plain, tuple(points.shape[1:])).best)


def scalar_values(model: nn.Module, points: Tensor, where: str) -> Tensor:
    """Evaluate a network that has one output.

    Args:
        model: The network.
        points: `(N, ...)`.
        where: Who asks.

    Returns:
        `(N,)`.

    Raises:
        ValueError: If it has others.
    """
    values: Tensor = model(points)
    if values.shape not in ((len(points),), (len(points), 1)):
        raise ValueError(
            f"model in {where} gives outputs of shape {tuple(values.shape)} for {len(points)} points; it must have one "
            "output, (N,) or (N, 1)"
        )
    return values.reshape(-1)
