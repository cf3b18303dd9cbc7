"""What a run knows of accuracy against the radius, in each norm."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from onelip.certify import Certificate
from onelip.experiments.report.record import RunRecord
from onelip.pictures import RobustAccuracy, UnderAttack

NORMS = ("l2", "linf")


def robust_accuracies(record: RunRecord) -> list[RobustAccuracy]:
    """Collect certificate, attacks and relaxation, each norm apart.

    A certificate says something of the other norm, too: an l2 ball lies inside of the l_inf ball of its radius, and an
    l_inf ball inside of the l2 ball of sqrt(n) times its radius, n pixels.

    Args:
        record: What the run has recorded.

    Returns:
        That of the certificate's norm first; of the other norm only if there was an attack in it. Empty for runs with
        neither.
    """
    certificate = record.certificate
    first = NORMS[0] if certificate is None else certificate.norm
    found = []
    for norm in sorted(NORMS, key=lambda norm: norm != first):
        attacks = tuple(_under_attack(attack) for attack in record.attacks if attack["norm"] == norm)
        if not attacks and (certificate is None or norm != first):
            continue
        if certificate is None:
            clean = float((record.results or {}).get("accuracy", attacks[0].clean))
            found.append(RobustAccuracy(norm, clean, attacks=attacks))
        else:
            relaxed = _relaxed(record) if norm == first else ()
            radii = radii_in(certificate, norm)
            found.append(RobustAccuracy(norm, certificate.accuracy, radii, certificate.proved, attacks, relaxed))
    return found


def radii_in(certificate: Certificate, norm: str) -> npt.NDArray[np.float64]:
    """Say what certified radii mean in a norm.

    Args:
        certificate: The certificate.
        norm: "l2" or "linf".

    Returns:
        `(N,)` radii of balls in this norm that lie inside of the certified ones.
    """
    radii = np.asarray(certificate.radii, dtype=np.float64)
    if (certificate.norm, norm) == ("l2", "linf"):
        # The share is a little smaller than one by the square root, for its rounding.
        return radii / (math.sqrt(math.prod(certificate.images.shape[1:])) * (1 + 1e-12))
    return radii


def _under_attack(attack: Mapping[str, Any]) -> UnderAttack:
    return UnderAttack(
        str(attack.get("attack", "pgd")),
        tuple(map(float, attack["radii"])),
        tuple(map(float, attack["accuracy"])),
        float(attack["clean_on_same"]),
        int(attack["samples"]),
    )


def _relaxed(record: RunRecord) -> tuple[tuple[float, float], ...]:
    shares = (record.results or {}).get("relaxation", {}).get("certified", {})
    return tuple(sorted((float(radius), float(share)) for radius, share in shares.items()))
