"""Numbers beyond which underflow inside of an operation is not covered by the bound of its rounding error.

Every step adds 2^-500 to its error for underflow. What underflows inside of a step, at most 2^-1075 off, may be
multiplied by stored numbers of the same step; below these limits the product is less than that.
"""

from __future__ import annotations

from onelip.certify.records import Network, Node

LARGEST_STORED = 2.0**200
"""Largest factor, width or matrix entry behind a number that may underflow; in executed certificates of all stored
numbers, and of the inverse of those that are divided by."""

LARGEST_SERIES_NORM = 2.0**10
"""Largest norm of a convolution whose powers, up to the 31st, are added up."""


def beyond_limits(network: Network) -> str | None:
    """Find an operation whose stored numbers are too extreme for the bound of its rounding error.

    Args:
        network: A frozen network.

    Returns:
        Name of the first such node and what is too extreme about it; None if there is none.
    """
    for node in network.nodes:
        found = None if node.branch is None else beyond_limits(node.branch)
        what = _extreme(node)
        if what is not None:
            return f"{what} at {node.name!r}"
        if found is not None:
            return found
    return None


def _extreme(node: Node) -> str | None:
    a = node.attributes
    if node.op == "soft_huber" and not 0 < a["delta"] <= LARGEST_STORED:
        return f"delta={a['delta']}"
    if node.op == "skew_series2d" and not a["norm"] <= LARGEST_SERIES_NORM:
        return f"a convolution of norm {a['norm']} in a series"
    if "width" in a:
        factors = [abs(a[name]) for name in ("alpha", "scale")]
        if not (1 / LARGEST_STORED <= a["width"] <= LARGEST_STORED and max(factors) <= LARGEST_STORED):
            return f"width={a['width']} with factors {factors}"
    if node.op == "matrices" and any(float(t.abs().max()) > LARGEST_STORED for t in node.tensors.values()):
        return "a matrix entry above 2^200"
    return None
