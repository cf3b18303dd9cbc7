"""Attacks: searches for inputs near a given one that change the answer."""

from onelip.attacks.curve import AttackCurve, CertificateViolatedError, attack_curve
from onelip.attacks.nearest import NearestAdversarial, nearest_adversarial
from onelip.attacks.pgd import l2_pgd

__all__ = [
    "AttackCurve",
    "CertificateViolatedError",
    "NearestAdversarial",
    "attack_curve",
    "l2_pgd",
    "nearest_adversarial",
]
