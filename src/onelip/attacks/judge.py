"""Does a point contradict a certificate? The last word on what an attack has found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from onelip.attacks.ball import Norm, distances
from onelip.attacks.exact import ExactNetwork, NotExactlyComputableError, is_inside
from onelip.attacks.objectives import margin
from onelip.certify import Certificate
from onelip.certify.certification import to_pixels
from onelip.certify.forward import evaluate
from onelip.certify.records import named_tensors

Verdict = Literal["holds", "outside", "undecided", "violation"]

BATCH = 256

SMALL = 100_000
"""Numbers of a network times those of a sample, up to which bounds of errors are not believed either."""

EXACT_INPUTS = 4096
"""Samples with more numbers than this are not evaluated without rounding."""


@dataclass(frozen=True)
class Violation:
    """A point inside of a certified ball whose class is not the label.

    Attributes:
        index: Number of the sample in the certificate.
        attack: What found it.
        distance: Of the point, in the norm of the certificate.
        radius: The certified radius.
        margin: z_label - max_{j != label} z_j there, not positive.
    """

    index: int
    attack: str
    distance: float
    radius: float
    margin: float

    def __str__(self) -> str:
        return (
            f"sample {self.index} is certified within {self.radius:.17g}, but {self.attack} found a point at distance "
            f"{self.distance:.17g} where its margin is {self.margin:.6g}"
        )


class Judge:
    """Compares points with a certificate.

    A point within the certified radius (compared in rational arithmetic) is a violation if its margin is not positive:
    proved so by the float64 margin and the bound of its error, or, where that bound says nothing, by evaluation with
    4096 bits. Where neither is possible the point is undecided. In small networks the bound is not believed and the
    margin always evaluated exactly. A certificate of the executed float64 program is also
    violated by a float64 margin that is not positive, as it is.

    Args:
        certificate: The certificate.
    """

    def __init__(self, certificate: Certificate) -> None:
        self.certificate = certificate
        self.norm: Norm = getattr(certificate, "norm", "l2")
        self.executed = certificate.semantics == "executed-float64"
        self.pixels = torch.from_numpy(to_pixels(certificate.images, certificate.scale)).double()
        self.labels = torch.from_numpy(certificate.labels)
        self.radii = torch.from_numpy(certificate.radii.astype(np.float64))
        self._exact: ExactNetwork | None = None
        if self.pixels[0].numel() <= EXACT_INPUTS:
            try:
                self._exact = ExactNetwork(certificate.network)
            except NotExactlyComputableError:
                self._exact = None
        weights = sum(tensor.numel() for _, tensor in named_tensors(certificate.network))
        self.small = self._exact is not None and weights * self.pixels[0].numel() <= SMALL

    def margins(self, points: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Evaluate points in float64.

        Args:
            points: `(N, ...)` float64.
            labels: `(N,)`.

        Returns:
            `(N,)` margins, and `(N,)` by how much each may be off; infinite where nothing is known.
        """
        parts = zip(points.split(BATCH), labels.split(BATCH), strict=True)
        rows = [(*evaluate(self.certificate.network, x), y) for x, y in parts]
        leads = torch.cat([margin(logits, y) for logits, _, y in rows])
        errors = torch.cat([error for _, error, _ in rows])
        # Two logits, each off by at most the error; the difference and the bound round once each.
        doubt = 2 * errors * (1 + 2.0**-40) + leads.abs() * 2.0**-50
        return leads, torch.where(leads.isfinite() & doubt.isfinite(), doubt, torch.inf)

    def verdict(self, index: int, point: Tensor, attack: str) -> tuple[Verdict, Violation | None]:
        """Judge one point.

        Args:
            index: Number of its sample.
            point: The point, float64.
            attack: What found it.

        Returns:
            What it means, and the violation if it is one.
        """
        radius, label = float(self.radii[index]), int(self.labels[index])
        if not bool(point.isfinite().all()) or not is_inside(point, self.pixels[index], radius, self.norm):
            return "outside", None
        leads, doubts = self.margins(point[None], self.labels[index : index + 1])
        lead, doubt = float(leads[0]), float(doubts[0])
        if not (self.executed and not lead > 0):
            unsure = abs(lead) <= doubt or not np.isfinite(lead)
            exact = self._exactly(point, label) if unsure or self.small else None
            if unsure and exact is None:
                return "undecided", None
            lead = lead if exact is None else exact
            if lead > 0:
                return "holds", None
        distance = float(distances(point[None], self.pixels[index : index + 1], self.norm)[0])
        return "violation", Violation(index, attack, distance, radius, lead)

    def _exactly(self, point: Tensor, label: int) -> float | None:
        try:
            return None if self._exact is None else self._exact.margin(point, label)
        except ValueError:
            # Too large, or its numbers are not finite.
            return None
