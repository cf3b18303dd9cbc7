"""The frozen network of a certificate: a list of operations with their stored numbers, and its JSON form."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

FORMAT = "onelip-network-1"

INPUT = "input"
"""Name under which nodes refer to a network's input."""


@dataclass(frozen=True, eq=False)
class Node:
    """One operation on one sample at a time; shapes and axes leave out the batch axis.

    Attributes:
        name: Unique within its network.
        op: One of `forward.OPERATIONS`.
        inputs: Names of the nodes it reads, or `INPUT`.
        attributes: JSON values.
        tensors: Stored numbers by role, on the CPU, float32 or float64.
        constant: Proved Lipschitz constant of the operation alone, or of everything up to it for sums.
        branch: The network inside a skip connection.
    """

    name: str
    op: str
    inputs: tuple[str, ...]
    attributes: dict[str, Any] = field(default_factory=dict)
    tensors: dict[str, Tensor] = field(default_factory=dict)
    constant: float = 1.0
    branch: Network | None = None


@dataclass(frozen=True, eq=False)
class Network:
    """A frozen network.

    Attributes:
        input_shape: Shape of one input sample.
        nodes: In order of execution.
        output: Name of the node that gives the output.
    """

    input_shape: tuple[int, ...]
    nodes: tuple[Node, ...]
    output: str

    def node(self, name: str) -> Node:
        """Look up a node.

        Args:
            name: Its name.

        Returns:
            The node.
        """
        return next(node for node in self.nodes if node.name == name)


def to_json(network: Network, prefix: str = "") -> dict[str, Any]:
    """Describe a network without its numbers.

    Args:
        network: The network.
        prefix: Put in front of tensor names.

    Returns:
        JSON values; tensors are named `<node>.<role>`.
    """
    description: dict[str, Any] = {} if prefix else {"format": FORMAT}
    nodes = [_node_to_json(node, prefix) for node in network.nodes]
    return description | {"input_shape": list(network.input_shape), "nodes": nodes, "output": network.output}


def _node_to_json(node: Node, prefix: str) -> dict[str, Any]:
    row: dict[str, Any] = {
        "name": node.name,
        "op": node.op,
        "inputs": list(node.inputs),
        "attributes": node.attributes,
        "tensors": {role: f"{prefix}{node.name}.{role}" for role in node.tensors},
    }
    if node.branch is not None:
        row["branch"] = to_json(node.branch, f"{prefix}{node.name}/")
    return row


def named_tensors(network: Network, prefix: str = "") -> Iterator[tuple[str, Tensor]]:
    """Go through the stored numbers of a network.

    Args:
        network: The network.
        prefix: Put in front of the names.

    Yields:
        Names as in `to_json`, and tensors.
    """
    for node in network.nodes:
        for role, tensor in node.tensors.items():
            yield f"{prefix}{node.name}.{role}", tensor
        if node.branch is not None:
            yield from named_tensors(node.branch, f"{prefix}{node.name}/")


def from_json(
    description: dict[str, Any], tensors: dict[str, Tensor], constants: dict[str, float], prefix: str = ""
) -> Network:
    """Rebuild a network from what `to_json` and `named_tensors` gave.

    Args:
        description: Its JSON form.
        tensors: Stored numbers by name.
        constants: Constants by node.
        prefix: In front of the names of tensors and nodes.

    Returns:
        The network.
    """
    nodes = []
    for row in description["nodes"]:
        full = prefix + row["name"]
        branch = from_json(row["branch"], tensors, constants, f"{full}/") if "branch" in row else None
        stored = {role: tensors[key] for role, key in row["tensors"].items()}
        inputs = tuple(row["inputs"])
        nodes.append(Node(row["name"], row["op"], inputs, row["attributes"], stored, constants[full], branch))
    return Network(tuple(description["input_shape"]), tuple(nodes), description["output"])
