"""Certified radii, and certificates that can be checked without trusting what wrote them."""

from onelip.certify.certificate import Certificate, load_certificate
from onelip.certify.certification import CertificationError, certify
from onelip.certify.checker import Verification, VerificationError, verify
from onelip.certify.export import UncertifiableOperation
from onelip.certify.inference import run
from onelip.certify.radius import LARGEST_RADIUS, certified_radii, class_radii, pair_norms, pair_slopes
from onelip.certify.relaxation import Relaxation, UnrelaxableOperation, relaxed_margins, relaxed_radii

__all__ = [
    "LARGEST_RADIUS",
    "Certificate",
    "CertificationError",
    "Relaxation",
    "UncertifiableOperation",
    "UnrelaxableOperation",
    "Verification",
    "VerificationError",
    "certified_radii",
    "certify",
    "class_radii",
    "load_certificate",
    "pair_norms",
    "pair_slopes",
    "relaxed_margins",
    "relaxed_radii",
    "run",
    "verify",
]
