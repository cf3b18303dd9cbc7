"""Searches for misclassified points near samples, which certificates must withstand."""

from onelip.attacks.apgd import apgd
from onelip.attacks.autoattack import autoattack
from onelip.attacks.break_certificates import BreakReport, break_certificates
from onelip.attacks.curve import AttackCurve, AttackName, CertificateViolatedError, attack_curve
from onelip.attacks.judge import Violation
from onelip.attacks.nearest import nearest_adversarial
from onelip.attacks.pgd import l2_pgd, linf_pgd

__all__ = [
    "AttackCurve",
    "AttackName",
    "BreakReport",
    "CertificateViolatedError",
    "Violation",
    "apgd",
    "attack_curve",
    "autoattack",
    "break_certificates",
    "l2_pgd",
    "linf_pgd",
    "nearest_adversarial",
]
