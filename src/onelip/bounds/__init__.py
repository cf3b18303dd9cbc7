"""What is the Lipschitz constant of this network, and is it proved?"""

from onelip.bounds import residual_rules  # noqa: F401  (enters the rules of our skip connections)
from onelip.bounds.errors import UnknownLipschitzConstant
from onelip.bounds.network import LayerBound, NetworkBound, lipschitz_bound
from onelip.bounds.registry import register_bound
from onelip.bounds.tracing import trace

__all__ = [
    "LayerBound",
    "NetworkBound",
    "UnknownLipschitzConstant",
    "lipschitz_bound",
    "register_bound",
    "trace",
]
