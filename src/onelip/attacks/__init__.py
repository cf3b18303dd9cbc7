"""Searches for misclassified points near samples, which certificates must withstand."""

from onelip.attacks.apgd import apgd
from onelip.attacks.autoattack import autoattack
from onelip.attacks.bim import bim
from onelip.attacks.boundary import boundary
from onelip.attacks.break_certificates import BreakReport, break_certificates
from onelip.attacks.by_name import AttackName
from onelip.attacks.carlini_wagner import carlini_wagner
from onelip.attacks.curve import AttackCurve, CertificateViolatedError, attack_curve, attack_curves
from onelip.attacks.ddn import ddn
from onelip.attacks.deepfool import deepfool
from onelip.attacks.fgsm import fgsm
from onelip.attacks.fmn import fmn
from onelip.attacks.hopskipjump import hopskipjump
from onelip.attacks.judge import Violation
from onelip.attacks.mim import mim
from onelip.attacks.nearest import nearest_adversarial
from onelip.attacks.pgd import l2_pgd, linf_pgd
from onelip.attacks.pointwise import pointwise

__all__ = [
    "AttackCurve",
    "AttackName",
    "BreakReport",
    "CertificateViolatedError",
    "Violation",
    "apgd",
    "attack_curve",
    "attack_curves",
    "autoattack",
    "bim",
    "boundary",
    "break_certificates",
    "carlini_wagner",
    "ddn",
    "deepfool",
    "fgsm",
    "fmn",
    "hopskipjump",
    "l2_pgd",
    "linf_pgd",
    "mim",
    "nearest_adversarial",
    "pointwise",
]
