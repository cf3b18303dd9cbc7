"""Check a certificate with NumPy and safetensors alone; shares no code with what wrote it."""

from onelip.certify.checker.claims import MEANINGS
from onelip.certify.checker.errors import VerificationError
from onelip.certify.checker.verification import Verification, verify

__all__ = ["MEANINGS", "Verification", "VerificationError", "verify"]
