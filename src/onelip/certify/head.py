"""Find the linear head of a frozen network: the part whose pairs of rows enter the radii."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from onelip.bounds.network import NodeFacts
from onelip.certify.export import Frozen
from onelip.certify.records import INPUT, Node


@dataclass(frozen=True, eq=False)
class Head:
    """What the radii divide by.

    Attributes:
        kind: "linear" if the last operation that is not a rearrangement is linear; "global" otherwise.
        node: Name of that operation, or of the output.
        constant: Lipschitz constant of everything before it, or of the whole network.
        rows: `(n_classes, features)` float64 for a linear head, else None.
    """

    kind: str
    node: str
    constant: float
    rows: torch.Tensor | None


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
        flat = math.prod(shape) == shape[0]
        if node.op == "slice" and node.attributes["axis"] == 0 and flat and keep == slice(0, None):
            keep = slice(node.attributes["start"], node.attributes["stop"])
        elif node.op != "reshape":
            break
        name = node.inputs[0]
    rows = None if name == INPUT else _rows(network.node(name), facts[name])
    if rows is None:
        constant = 1.0 if network.output == INPUT else facts[network.output].cumulative.value
        return Head("global", network.output, constant, None)
    before = network.node(name).inputs[0]
    constant = 1.0 if before == INPUT else facts[before].cumulative.value
    return Head("linear", name, constant, rows[keep])


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
