"""Linear algebra on tensors: orthogonalisation, proved norms, kernel algebra. No modules, no input or output."""

from onelip.linalg.bound import EXACT_ONE, Bound
from onelip.linalg.errors import unknown_name
from onelip.linalg.precision import full_precision
from onelip.linalg.rounding import UNIT_ROUNDOFF, add_up, divide_up, down, gamma, multiply_up, sqrt_up, up

__all__ = [
    "EXACT_ONE",
    "UNIT_ROUNDOFF",
    "Bound",
    "add_up",
    "divide_up",
    "down",
    "full_precision",
    "gamma",
    "multiply_up",
    "sqrt_up",
    "unknown_name",
    "up",
]
