"""The critic as a picture, where samples have one or two coordinates, beside the exact dual where it is known."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from onelip.experiments.report.pictured import Picture
from onelip.experiments.run_folder import RunFolder
from onelip.experiments.wasserstein.preparation import Prepared
from onelip.pictures.landscape import Landscape1d, Landscape2d
from onelip.transport import HELD_OUT, WassersteinEstimate, discrete_wasserstein1, optimal_potential, sample_generator

_N_SAMPLES = 256
_N_LINE, _N_PLANE = 401, 121
"""Points of a line, and on each side of a plane."""

_MARGIN = 0.2
"""The picture reaches this part of the samples' extent beyond them."""


def draw_landscape(
    prepared: Prepared, critic: nn.Module, estimate: WassersteinEstimate, folder: RunFolder
) -> list[Picture]:
    """Draw the critic, divided by its constant, beside a function that attains the distance.

    Args:
        prepared: The distributions.
        critic: The trained critic.
        estimate: Has its constant.
        folder: Where the picture goes.

    Returns:
        The picture, or none where samples have more than two coordinates.
    """
    if len(prepared.shape) != 1 or prepared.shape[0] > 2:
        return []
    generator = sample_generator(prepared.config.seed, HELD_OUT, 1)
    x, y = (source.held_out(_N_SAMPLES, generator).double() for source in (prepared.p, prepared.q))
    potential, name = _potential(prepared, x, y)
    scale = estimate.constant.value or 1.0
    plain = critic.double()

    def divided(z: Tensor) -> Tensor:
        with torch.no_grad():
            return plain(z).flatten() / scale

    axes = [_axis(torch.cat([x, y])[:, i], _N_LINE if x.shape[1] == 1 else _N_PLANE) for i in range(x.shape[1])]
    points = torch.cartesian_prod(*axes).view(-1, len(axes))
    learned, best = _centred(divided(points), divided(x)), _centred(potential(points), potential(x))
    path = folder.path / "critic.png"
    if len(axes) == 1:
        line = (points[:, 0], learned, best, x[:, 0], y[:, 0])
        Landscape1d(*(values.numpy() for values in line), name).plot(path)
    else:
        shape = (len(axes[0]), len(axes[1]))
        Landscape2d(
            axes[0].numpy(), axes[1].numpy(), learned.view(shape).numpy(), best.view(shape).numpy(),
            x.numpy(), y.numpy(), name,
        ).plot(path)  # fmt: skip
    text = (
        f"The critic, divided by its constant, and {name}. Both are 1-Lipschitz, and equal up to a constant where the "
        f"critic is perfect; they may differ where no mass is moved."
    )
    return [Picture("The critic", path, text)]


def _potential(prepared: Prepared, x: Tensor, y: Tensor) -> tuple[Callable[[Tensor], Tensor], str]:
    try:
        return optimal_potential(prepared.p.training, prepared.q.training), "the exact dual"
    except ValueError:
        return discrete_wasserstein1(x, y).potential, f"the exact dual of {len(x)} samples of each"


def _axis(values: Tensor, n: int) -> Tensor:
    low, high = float(values.min()), float(values.max())
    margin = _MARGIN * (high - low) or 1.0
    return torch.linspace(low - margin, high + margin, n, dtype=torch.float64)


# Potentials are known up to a constant.
def _centred(values: Tensor, on_x: Tensor) -> Tensor:
    return (values - on_x.mean()).detach()
