"""Rebuild an ordinary network with constrained layers."""

from onelip.swap.network import swap
from onelip.swap.outcome import Left, Replaced, Swap
from onelip.swap.transfer import transfer_

__all__ = [
    "Left",
    "Replaced",
    "Swap",
    "swap",
    "transfer_",
]
