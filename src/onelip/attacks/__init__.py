"""Searches for misclassified points near samples, which certificates must withstand."""

from onelip.attacks.apgd import apgd
from onelip.attacks.curve import AttackCurve, CertificateViolatedError, attack_curve
from onelip.attacks.nearest import nearest_adversarial
from onelip.attacks.pgd import l2_pgd, linf_pgd

__all__ = [
    "AttackCurve",
    "CertificateViolatedError",
    "apgd",
    "attack_curve",
    "l2_pgd",
    "linf_pgd",
    "nearest_adversarial",
]
