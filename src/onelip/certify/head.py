"""Find the linear head of a frozen network: the part whose pairs of rows enter the radii."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from onelip.bounds.network import NodeFacts
from onelip.bounds.registry import Norm
from onelip.certify.export import Frozen
from onelip.certify.radius import joined_slopes, pair_slopes
from onelip.certify.records import INPUT, Network, Node


@dataclass(frozen=True, eq=False)
class Head:
    """What the radii divide by.

    Attributes:
        kind: "linear" if the last operation that is not a rearrangement is linear, "joined" if the logits are put
            together from several vectors; "global" otherwise.
        node: Name of that operation, or of the output.
        constant: Lipschitz constant of everything before a linear operation, or of the whole network.
        rows: `(n_classes, features)` float64 for a linear head, else None.
        parts: For joined logits, the names of the vectors, and how many logits and which constant each has.
    """

    kind: str
    node: str
    constant: float
    rows: torch.Tensor | None
    parts: tuple[tuple[str, int, float], ...] = ()

    def slopes(self, n_classes: int, norm: Norm) -> torch.Tensor:
        """Bound the constants of all differences of logits.

        Args:
            n_classes: Number of logits.
            norm: In which the constants hold.

        Returns:
            `(n_classes, n_classes)` float64, rounded up.
        """
        if self.parts:
            return joined_slopes([(count, constant) for _, count, constant in self.parts], norm)
        return pair_slopes(self.constant, n_classes, self.rows, norm)


def find_head(frozen: Frozen) -> Head:
    """Look back from the output through reshapes and slices of classes for a linear operation.

    Args:
        frozen: A frozen network with its analysis in the norm of the certificate.

    Returns:
        Its head.
    """
    network, facts = frozen.network, frozen.in_norm.nodes
    keep = slice(0, None)
    name = network.output
    while name != INPUT:
        node = network.node(name)
        shape = facts[name].input_shape
        # A slice of classes, that is of flat entries, however the logits are arranged.
        flat = shape[:1] == (math.prod(shape),)
        if node.op == "slice" and node.attributes["axis"] == 0 and flat and keep == slice(0, None):
            keep = slice(node.attributes["start"], node.attributes["stop"])
        elif node.op != "reshape":
            break
        name = node.inputs[0]
    rows = None if name == INPUT else _rows(network.node(name), facts[name])
    if rows is None:
        constant = 1.0 if network.output == INPUT else facts[network.output].cumulative.value
        parts = _joined(network, facts)
        return Head("joined" if parts else "global", network.output, constant, None, parts)
    before = network.node(name).inputs[0]
    constant = 1.0 if before == INPUT else facts[before].cumulative.value
    return Head("linear", name, constant, rows[keep])


def _joined(network: Network, facts: dict[str, NodeFacts]) -> tuple[tuple[str, int, float], ...]:
    # The vectors whose entries, one after the other, are the logits; none if they come from one operation.
    if network.output == INPUT:
        return ()
    node = network.node(network.output)
    if node.op != "concatenate" or len(facts[node.name].output_shape) != 1:
        return ()
    parts = []
    for name in node.inputs:
        source = name
        # Steps on the way to an operation of the graph have no facts of their own in l_inf; stacks reshape.
        while source != INPUT and source not in facts and network.node(source).op == "reshape":
            source = network.node(source).inputs[0]
        known = facts.get(source)
        if known is None:
            parts.append((name, math.prod(network.input_shape), 1.0))
        else:
            parts.append((name, math.prod(known.output_shape), known.cumulative.value))
    return tuple(parts)


def _rows(node: Node, facts: NodeFacts) -> torch.Tensor | None:
    weight, before, after = node.tensors.get("weight"), facts.input_shape, facts.output_shape
    if weight is None:
        return None
    if node.op == "linear" and len(after) == 1:
        return weight.double()
    if node.op != "conv2d" or math.prod(after[1:]) != 1:
        return None
    # One output pixel that sees every input pixel once is a dense layer.
    whole = node.attributes["groups"] == 1 and not any(node.attributes["pads"]) and tuple(weight.shape[1:]) == before
    return weight.flatten(1).double() if whole else None
