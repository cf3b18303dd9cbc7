"""Frozen networks as something that attacks can differentiate, and in other orders of summation."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn
from typing_extensions import override

from onelip.certify.forward import evaluate
from onelip.certify.records import Network, Node


class FrozenModule(nn.Module):
    """The frozen network of a certificate as a module without parameters; it computes in the type of its input.

    Args:
        network: The network.
    """

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    @override
    def forward(self, x: Tensor) -> Tensor:
        return evaluate(self.network, x)[0]


def reordered(network: Network, parts: int) -> Network:
    """Write the products of a network as sums over parts of their inputs, from the last part to the first.

    The function is the same; its rounding is that of another order of summation.

    Args:
        network: A frozen network.
        parts: In how many parts, at least 2; products with fewer input channels stay.

    Returns:
        The network; the constants of its new nodes mean nothing.
    """
    nodes: list[Node] = []
    for node in network.nodes:
        nodes += _in_parts(node, parts)
    return replace(network, nodes=tuple(nodes))


def _in_parts(node: Node, parts: int) -> list[Node]:
    dense = node.op == "linear" or (node.op == "conv2d" and node.attributes["groups"] == 1)
    if not dense or node.tensors["weight"].shape[1] < parts:
        return [node]
    # The features of a dense layer are the last axis; axes count from the one after the batch.
    axis = -2 if node.op == "linear" else 0
    made: list[Node] = []
    summands: list[str] = []
    start = 0
    for k, weight in enumerate(torch.tensor_split(node.tensors["weight"], parts, 1)):
        part, product = f"{node.name}/part{k}", f"{node.name}/product{k}"
        stop = start + weight.shape[1]
        made.append(Node(part, "slice", node.inputs, {"axis": axis, "start": start, "stop": stop}))
        bias = {"bias": node.tensors["bias"]} if k == 0 and "bias" in node.tensors else {}
        made.append(replace(node, name=product, inputs=(part,), tensors={"weight": weight.contiguous()} | bias))
        summands.insert(0, product)
        start = stop
    return [*made, Node(node.name, "add", tuple(summands))]
