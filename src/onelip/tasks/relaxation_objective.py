"""Training against the worst case of a linear relaxation, so that it certifies the network afterwards."""

from __future__ import annotations

from collections.abc import Callable
from typing import get_args

import torch
from torch import Tensor, nn

from onelip.certify.relaxation.region import Norm
from onelip.certify.relaxation.training import TrainingRelaxation, margin_estimates
from onelip.linalg import full_precision, unknown_name
from onelip.losses import Ramp
from onelip.losses.loss import fraction, not_negative
from onelip.losses.ramp import Scheduled


class RelaxationObjective:
    """Minimise the loss of the worst logits that a linear relaxation leaves possible in balls around the images.

    The worst logits are 0 for the label and -m_j for class j, m_j the least lead of the label over j
    (`margin_estimates`): (1 - w) loss(logits) + w loss(worst logits). While the radius is 0 both are the same. Radius
    and w may be ramps over the training, and begin small: boxes of an untrained network say nothing at the full radius.

    Takes the network, images `(N, C, H, W)`, labels `(N,)` and a loss of logits and labels; gives the loss to minimise
    and the logits. A loss that takes constants of logits is refused.

    Args:
        radius: Of the balls, in units of the pixels, >= 0; may be a ramp.
        norm: "l2" or "linf".
        method: "ibp", "crown-ibp" or "kw", as in `margin_estimates`.
        weight: w in [0, 1]; may be a ramp.

    Raises:
        ValueError: An option is out of range, or the network has a layer without a relaxation.

    Paper:
        Wong and Kolter 2018, arXiv:1711.00851; Wong, Schmidt, Metzen and Kolter 2018, arXiv:1805.12514 ("kw"); Gowal
        et al. 2018, arXiv:1810.12715 ("ibp", with w from 0 to 1/2); Zhang et al. 2020, arXiv:1906.06316 ("crown-ibp").
    """

    def __init__(
        self,
        *,
        radius: Scheduled,
        norm: Norm = "linf",
        method: TrainingRelaxation = "crown-ibp",
        weight: Scheduled = 1.0,
    ) -> None:
        owner = type(self).__name__
        for kind, value, allowed in (("norm", norm, get_args(Norm)), ("method", method, get_args(TrainingRelaxation))):
            if value not in allowed:
                raise ValueError(unknown_name(f"{kind} of {owner}", str(value), allowed))
        self._ramps = {
            "radius": Ramp.of(radius, f"radius in {owner}"),
            "weight": Ramp.of(weight, f"weight in {owner}"),
        }
        for end in (self._ramps["radius"].start, self._ramps["radius"].end):
            not_negative("radius", end, owner)
        for end in (self._ramps["weight"].start, self._ramps["weight"].end):
            fraction("weight", end, owner)
        self.norm, self.method = norm, method
        self.set_progress(0.0)

    def set_progress(self, progress: float) -> None:
        """Bring radius and weight to where they are at a point of the training.

        Args:
            progress: Part of the training that is done, in [0, 1].
        """
        self.radius, self.weight = (self._ramps[name].value(progress) for name in ("radius", "weight"))

    def __call__(
        self, model: nn.Module, images: Tensor, labels: Tensor, loss: Callable[..., Tensor]
    ) -> tuple[Tensor, Tensor]:
        """Compute what a training step minimises.

        Args:
            model: The network, a chain of layers.
            images: `(N, C, H, W)`.
            labels: `(N,)`.
            loss: Maps logits and labels to a scalar.

        Returns:
            The loss to minimise, and the logits of the images themselves.

        Raises:
            ValueError: If the loss takes constants of logits.
        """
        if getattr(loss, "uses_constants", False):
            raise ValueError(
                f"loss={type(loss).__name__} takes Lipschitz constants, which worst logits have none of; use "
                f"cross-entropy or another loss of logits alone with {type(self).__name__}"
            )
        logits = model(images)
        ordinary = loss(logits, labels)
        if self.radius == 0 or self.weight == 0:
            return ordinary, logits
        with full_precision(), torch.autocast(images.device.type, enabled=False):
            margins = margin_estimates(model, images, labels, self.radius, norm=self.norm, method=self.method)
            worst = loss(-margins, labels)
        return (1 - self.weight) * ordinary + self.weight * worst, logits
