"""The critic as a picture, where samples have one or two coordinates, beside the exact dual."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from onelip.experiments.report.pictured import Picture
from onelip.experiments.run_folder import RunFolder
from onelip.experiments.wasserstein.preparation import Prepared
from onelip.pictures import CriticCurve, CriticSurface, critic_curve, critic_surface

_MEASURES: dict[tuple[int, ...], Callable[..., CriticCurve | CriticSurface]] = {
    (1,): critic_curve,
    (2,): critic_surface,
}
"""By the shape of a sample."""


def draw_landscape(prepared: Prepared, critic: nn.Module, folder: RunFolder) -> list[Picture]:
    """Draw the critic, divided by its constant, beside a function that attains the distance.

    Args:
        prepared: The distributions.
        critic: The trained critic.
        folder: Where the picture goes.

    Returns:
        The picture, or none where samples have more than two coordinates.
    """
    measure = _MEASURES.get(prepared.shape)
    if measure is None:
        return []
    measured = measure(critic, prepared.p.held_out, prepared.q.held_out, seed=prepared.config.seed)
    path = folder.path / "critic.png"
    measured.plot(path)
    text = (
        f"The critic, divided by its constant, and the best potential of {measured.dual_of}. Both are 1-Lipschitz, and "
        f"equal where the critic is perfect; they may differ where no mass is moved."
    )
    return [Picture("The critic", path, text)]
