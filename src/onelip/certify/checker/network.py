"""The frozen network as the checker reads it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from onelip.certify.checker.errors import VerificationError
from onelip.certify.checker.files import NETWORK_FORMAT, Arrays

INPUT = "input"

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Step:
    """One operation.

    Attributes:
        name: Unique in its network.
        op: What it does.
        inputs: Names of earlier steps, or `INPUT`.
        attributes: Its options.
        arrays: Its stored numbers in float64.
        claimed: The certificate's constant for it: what the checker tries to prove, never what it trusts.
        branch: The network inside a skip connection.
    """

    name: str
    op: str
    inputs: tuple[str, ...]
    attributes: dict[str, Any]
    arrays: dict[str, Array]
    claimed: float
    branch: Graph | None

    def whole(self, name: str, least: int = 0) -> int:
        """Get an integer attribute.

        Args:
            name: Its name.
            least: Smallest value allowed.

        Returns:
            The integer.
        """
        return _whole(self.attributes[name], f"{name} of {self.name!r}", least)

    def wholes(self, name: str, least: int, count: int | None = None) -> tuple[int, ...]:
        """Get an attribute that is a list of integers.

        Args:
            name: Its name.
            least: Smallest value allowed.
            count: How many there must be; None for any number.

        Returns:
            The integers.

        Raises:
            VerificationError: If it is something else.
        """
        values = self.attributes[name]
        if not isinstance(values, list) or (count is not None and len(values) != count):
            raise VerificationError(f"{name}={values!r} of {self.name!r} must be a list of {count} integers")
        return tuple(_whole(v, f"{name} of {self.name!r}", least) for v in values)

    def number(self, name: str) -> float:
        """Get an attribute that is a finite number.

        Args:
            name: Its name.

        Returns:
            The number.

        Raises:
            VerificationError: If it is something else.
        """
        value = self.attributes[name]
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise VerificationError(f"{name}={value!r} of {self.name!r} must be a number")
        return float(value)


@dataclass(frozen=True, eq=False)
class Graph:
    """A network.

    Attributes:
        input_shape: Shape of one input sample.
        steps: In order of execution.
        output: Name of the step that gives the output.
    """

    input_shape: tuple[int, ...]
    steps: tuple[Step, ...]
    output: str

    def step(self, name: str) -> Step:
        """Look up a step.

        Args:
            name: Its name.

        Returns:
            The step.
        """
        return next(step for step in self.steps if step.name == name)


def _whole(value: Any, what: str, least: int) -> int:
    if type(value) is not int or value < least:
        raise VerificationError(f"{what} is {value!r}; it must be an integer of at least {least}")
    return value


def read_graph(description: dict[str, Any], arrays: Arrays, claims: dict[str, Any]) -> Graph:
    """Build the network of `architecture.json` with its stored numbers.

    Args:
        description: The file's values.
        arrays: The stored numbers; every one must be used.
        claims: The certificate's constants by step, as hexadecimal floats.

    Returns:
        The network.

    Raises:
        VerificationError: If the description is malformed, or does not fit the arrays.
    """
    if description.get("format") != NETWORK_FORMAT:
        raise VerificationError(f"format={description.get('format')!r} of the architecture must be {NETWORK_FORMAT!r}")
    used: set[str] = set()
    try:
        graph = _graph(description, "", arrays, claims, used)
    except (KeyError, TypeError, AttributeError) as error:
        raise VerificationError(f"the architecture is malformed: {type(error).__name__} {error}") from error
    if used != set(arrays):
        raise VerificationError(f"the weights hold {sorted(set(arrays) - used)[0]!r}, which the architecture lacks")
    return graph


def _graph(description: dict[str, Any], prefix: str, arrays: Arrays, claims: dict[str, Any], used: set[str]) -> Graph:
    steps: list[Step] = []
    known = {INPUT}
    for row in description["nodes"]:
        step = _step(row, prefix, arrays, claims, used)
        if step.name in known:
            raise VerificationError(f"the architecture has two nodes named {step.name!r}")
        if not step.inputs or not known.issuperset(step.inputs):
            raise VerificationError(f"inputs={step.inputs} of {step.name!r} must be earlier nodes")
        known.add(step.name)
        steps.append(step)
    if description["output"] not in known:
        raise VerificationError(f"output={description['output']!r} is not a node of the architecture")
    shape = tuple(_whole(n, "input_shape", 1) for n in description["input_shape"])
    return Graph(shape, tuple(steps), description["output"])


def _step(row: dict[str, Any], prefix: str, arrays: Arrays, claims: dict[str, Any], used: set[str]) -> Step:
    name, full = row["name"], prefix + row["name"]
    tensors: dict[str, Array] = {}
    for role, key in row["tensors"].items():
        if key not in arrays:
            raise VerificationError(f"the weights lack {key!r}, which the architecture names")
        if key in used:
            raise VerificationError(f"the architecture uses {key!r} twice")
        used.add(key)
        tensors[role] = _double(arrays[key], key)
    if full not in claims:
        raise VerificationError(f"the certificate has no constant for {full!r}")
    branch = None
    if "branch" in row:
        branch = _graph(row["branch"], f"{full}/", arrays, claims, used)
    attributes = row["attributes"]
    if not isinstance(attributes, dict):
        raise VerificationError(f"attributes of {full!r} must be an object")
    claimed = hexadecimal(claims[full])
    if claimed < 0:
        raise VerificationError(f"the claimed constant {claimed!r} of {full!r} is negative")
    return Step(name, row["op"], tuple(row["inputs"]), attributes, tensors, claimed, branch)


def _double(array: npt.NDArray[Any], key: str) -> Array:
    result: Array = array.astype(np.float64)
    # Beyond, the float64 number may be a neighbour of the integer that is stored.
    if array.dtype == np.int64 and not (np.abs(result) < 2.0**53).all():
        raise VerificationError(f"{key!r} in the weights holds integers of 2^53 or more, which float64 may round")
    return result


def hexadecimal(text: Any) -> float:
    """Read a hexadecimal float.

    Args:
        text: As `float.hex` writes it.

    Returns:
        The number.

    Raises:
        VerificationError: If it is something else, or NaN.
    """
    try:
        value = float.fromhex(text)
    except (ValueError, TypeError, OverflowError) as error:
        raise VerificationError(f"{text!r} in the certificate is not a hexadecimal float") from error
    if value != value:
        raise VerificationError(f"{text!r} in the certificate is not a number")
    return value
