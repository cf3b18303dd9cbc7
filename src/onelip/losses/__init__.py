"""Losses that reward margins, by name; all map logits `(N, K)` and labels `(N,)` to a scalar.

A loss is one file with one decorated class, imported here.
"""

# Losses: each registers itself when it is imported.
from onelip.losses.certificate_regularisation import CertificateRegularisation
from onelip.losses.certified_multi_margin import CertifiedMultiMargin
from onelip.losses.confidence_gap import ConfidenceGap
from onelip.losses.cosine import CosineLoss
from onelip.losses.cosine_vra import CosineVRA
from onelip.losses.cross_entropy import CrossEntropy
from onelip.losses.emma import EMMA
from onelip.losses.emma_logit_annealing import EMMALogitAnnealing
from onelip.losses.gloro import GloRo
from onelip.losses.hkr import HKR
from onelip.losses.hkr_multiclass import HKRMulticlass
from onelip.losses.logit_annealing import LogitAnnealing

# What losses are made of: the base of their classes, and numbers that change during the training.
from onelip.losses.loss import Loss
from onelip.losses.lse_hkr import LseHKR
from onelip.losses.multi_margin import MultiMargin
from onelip.losses.offset_cross_entropy import OffsetCrossEntropy
from onelip.losses.ramp import Ramp

# The registry: build by name, list, add.
from onelip.losses.registry import available, build, register_loss
from onelip.losses.soft_hkr import SoftHKR
from onelip.losses.tau_cross_entropy import TauCrossEntropy

__all__ = [
    "EMMA",
    "HKR",
    "CertificateRegularisation",
    "CertifiedMultiMargin",
    "ConfidenceGap",
    "CosineLoss",
    "CosineVRA",
    "CrossEntropy",
    "EMMALogitAnnealing",
    "GloRo",
    "HKRMulticlass",
    "LogitAnnealing",
    "Loss",
    "LseHKR",
    "MultiMargin",
    "OffsetCrossEntropy",
    "Ramp",
    "SoftHKR",
    "TauCrossEntropy",
    "available",
    "build",
    "register_loss",
]
