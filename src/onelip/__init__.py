"""Neural networks whose Lipschitz constant is known, and proved from the stored weights."""

__version__ = "0.1.0"

from onelip import layers, linalg
from onelip.bounds import (
    LayerBound,
    NetworkBound,
    UnknownLipschitzConstant,
    lipschitz_bound,
    register_bound,
)
from onelip.certify import Certificate, Verification, VerificationError, certify, load_certificate, verify
from onelip.layers import retract_, to_plain
from onelip.linalg import Bound
from onelip.spectral import spectrum
from onelip.swap import Left, Replaced, Swap, swap

__all__ = [
    "Bound",
    "Certificate",
    "LayerBound",
    "Left",
    "NetworkBound",
    "Replaced",
    "Swap",
    "UnknownLipschitzConstant",
    "Verification",
    "VerificationError",
    "__version__",
    "certify",
    "layers",
    "linalg",
    "lipschitz_bound",
    "load_certificate",
    "register_bound",
    "retract_",
    "spectrum",
    "swap",
    "to_plain",
    "verify",
]
