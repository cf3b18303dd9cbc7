"""What is known of a network's constant, for people to read."""

from __future__ import annotations

import math
from dataclasses import dataclass

from typing_extensions import override

from onelip.bounds.registry import Norm
from onelip.linalg import Bound

Shape = tuple[int, ...]


@dataclass(frozen=True)
class LayerBound:
    """One row of a network's audit.

    Attributes:
        name: Name of the module or graph node.
        kind: Class of the module or name of the function.
        bound: Constant of this part. For sums and concatenations, of the whole up to and including it.
        cumulative: Constant from the network's input to this part's output.
        input_shape: Shape of one input sample (of the first input, if there are several).
        output_shape: Shape of one output sample.
    """

    name: str
    kind: str
    bound: Bound
    cumulative: Bound
    input_shape: Shape
    output_shape: Shape


@dataclass(frozen=True)
class NetworkBound:
    """The Lipschitz constant of a network, with the parts it is made of.

    Attributes:
        bound: The constant; proved if every part is.
        layers: One row for each module and each function that can stretch or joins signals, in order of execution.
        input_shape: Shape of one input sample that the bound is for.
        norm: "l2" or "linf", in which input and output are measured.
        tightened: A smaller constant, with each run of dense layers bounded as a whole; None if none was proved.
    """

    bound: Bound
    layers: tuple[LayerBound, ...]
    input_shape: Shape
    norm: Norm = "l2"
    tightened: Bound | None = None

    @property
    def value(self) -> float:
        """The constant that is the product over the parts, dimensionless."""
        return self.bound.value

    @property
    def best(self) -> Bound:
        """The smaller of `bound` and `tightened`."""
        return self.bound if self.tightened is None else self.tightened

    @property
    def proved(self) -> bool:
        """Is it an upper bound of the real-arithmetic constant of the stored numbers?"""
        return self.bound.proved

    @property
    def method(self) -> str:
        """How it was obtained."""
        return self.bound.method

    @override
    def __str__(self) -> str:
        rows = [
            (
                layer.name,
                layer.kind,
                f"{layer.bound.value:.9g}",
                "proved" if layer.bound.proved else "ESTIMATE",
                layer.bound.method,
                f"{layer.cumulative.value:.9g}",
                f"{_shape_text(layer.input_shape)} -> {_shape_text(layer.output_shape)}",
            )
            for layer in self.layers
        ]
        header = ("name", "kind", "constant", "status", "method", "from input", "shape")
        widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
        lines = [
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in (header, *rows)
        ]
        status = "proved" if self.proved else "ESTIMATE, not proved"
        inputs = f"for inputs {_shape_text(self.input_shape)}"
        total = f"Lipschitz constant ({self.norm}) <= {self.value:.9g} ({status}) {inputs}"
        tightened = [] if self.tightened is None else [_tightened_text(self.tightened, self.value)]
        return "\n".join([line.rstrip() for line in lines] + [total, *tightened])


def _tightened_text(bound: Bound, product: float) -> str:
    share = f", {bound.value / product:.4g} of that" if 0 < product < math.inf else ""
    status = "proved" if bound.proved else "ESTIMATE, not proved"
    return f"with runs of dense layers bounded as a whole <= {bound.value:.9g} ({status}{share})"


def _shape_text(shape: Shape) -> str:
    return "x".join(map(str, shape)) if shape else "scalar"
