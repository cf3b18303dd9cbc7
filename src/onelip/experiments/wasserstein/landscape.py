"""The critic as a picture, where samples have one or two coordinates."""

from __future__ import annotations

from torch import nn

from onelip.experiments.report.pictured import Picture
from onelip.experiments.run_folder import RunFolder
from onelip.experiments.wasserstein.preparation import Prepared
from onelip.transport import WassersteinEstimate


def draw_landscape(
    prepared: Prepared, critic: nn.Module, estimate: WassersteinEstimate, folder: RunFolder
) -> list[Picture]:
    return []
