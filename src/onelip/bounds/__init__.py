"""What is the Lipschitz constant of this network, and is it proved?"""

# Importing the rules of our skip connections and of the l_inf norm enters them in the registry.
from onelip.bounds import linf_functions, linf_modules, residual_rules  # noqa: F401
from onelip.bounds.errors import UnknownLipschitzConstant
from onelip.bounds.network import lipschitz_bound
from onelip.bounds.network_bound import LayerBound, NetworkBound
from onelip.bounds.registry import register_bound
from onelip.bounds.tracing import trace
from onelip.bounds.training_constants import training_constants

__all__ = [
    "LayerBound",
    "NetworkBound",
    "UnknownLipschitzConstant",
    "lipschitz_bound",
    "register_bound",
    "trace",
    "training_constants",
]
