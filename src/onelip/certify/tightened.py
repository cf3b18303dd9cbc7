"""Tightened constants of a frozen network: runs of dense layers as a whole, in place of products."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from onelip.bounds.segments import Segment
from onelip.certify.checker.tightened import DENSE_OPS
from onelip.certify.head import Head
from onelip.certify.radius import joined_slopes, pair_slopes
from onelip.certify.records import INPUT, Network
from onelip.linalg import EXACT_ONE, Bound, gamma, up


@dataclass(frozen=True, eq=False)
class Tightened:
    """What the runs of a frozen network prove.

    Attributes:
        segments: The runs, with the names of nodes as in the frozen network.
        constants: Constant from the input to each node, `INPUT` included, with runs as a whole.
        output: That of the output.
    """

    segments: tuple[Segment, ...]
    constants: dict[str, Bound]
    output: Bound

    def below(self, product: Bound) -> Bound | None:
        """Get the constant of the whole network where it beats the product.

        Args:
            product: The product.

        Returns:
            The constant, an estimate if the product is one; None if it is not smaller.
        """
        if not self.segments or not self.output.value < product.value:
            return None
        return Bound(self.output.value, product.proved, "ellipsoids" if product.proved else product.method)

    def slopes(self, network: Network, head: Head, product: Tensor) -> Tensor:
        """Bound the constants of all differences of logits.

        The least of the given ones, those of the tightened constant before the head, and, where a run ends at the
        output, its own.

        Args:
            network: The network.
            head: Its head.
            product: `(n_classes, n_classes)` proved constants of all differences of logits.

        Returns:
            `(n_classes, n_classes)` float64, rounded up.
        """
        if not self.segments:
            return product
        before = network.output if head.rows is None else network.node(head.node).inputs[0]
        least = torch.minimum(product, pair_slopes(self.constants[before].value, len(product), head.rows))
        if head.parts:
            parts = [(count, self.constants[name].value) for name, count, _ in head.parts]
            least = torch.minimum(least, joined_slopes(parts))
        for segment in self.segments:
            if segment.nodes[-1] == network.output:
                entering = self.constants[network.node(segment.nodes[0]).inputs[0]].value
                widths = segment.widths * up(entering) * (1 + gamma(4))
                # Where nothing bounds a pair, 0 times infinity.
                least = torch.minimum(least, widths.nan_to_num(nan=math.inf))
        return least

    def to_json(self) -> list[dict[str, Any]]:
        """Write what a checker needs to prove it again.

        Returns:
            JSON values of each run.
        """
        return [
            {"nodes": list(s.nodes), "mixed": s.mixed, "radii": [[h.hex() for h in r.tolist()] for r in s.radii]}
            for s in self.segments
        ]


def tightened(network: Network, segments: Sequence[Segment]) -> Tightened:
    """Compose the constants of a frozen network with runs of dense layers as a whole.

    Args:
        network: The network with the constants of its nodes.
        segments: Runs that were proved in its graph; those that a checker does not know, or whose nodes do not follow
            each other in the frozen network, are left out.

    Returns:
        The constants.
    """
    known = {node.name: node for node in network.nodes}
    kept = []
    for segment in segments:
        names = tuple(name for name in segment.nodes if name in known)
        chained = all(known[after].inputs == (name,) for name, after in pairwise(names))
        if chained and all(known[name].op in DENSE_OPS for name in names):
            kept.append(Segment(segment.source, names, segment.mixed, segment.radii, segment.bound, segment.widths))
    ends = {segment.nodes[-1]: segment for segment in kept}
    constants = {INPUT: EXACT_ONE}
    for node in network.nodes:
        total = _composed(node.op, [constants[name] for name in node.inputs], node.constant)
        if node.name in ends:
            entering = constants[known[ends[node.name].nodes[0]].inputs[0]]
            total = min(total, entering.then(ends[node.name].bound), key=lambda bound: bound.value)
        constants[node.name] = total
    return Tightened(tuple(kept), constants, constants[network.output])


def _composed(op: str, before: list[Bound], own: float) -> Bound:
    # Whether constants are estimates is said by the product, not here.
    total = before[0]
    if op in ("add", "subtract"):
        for bound in before[1:]:
            total = total.plus(bound)
        return total
    if op == "concatenate":
        for bound in before[1:]:
            total = total.stack(bound)
        return total
    return total.then(Bound(own, math.isfinite(own), "node"))
