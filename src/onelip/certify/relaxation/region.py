"""Balls around samples, and the balls around the values of a network into which they are mapped."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from onelip.certify.forward import evaluate_nodes
from onelip.certify.records import INPUT, Node
from onelip.certify.relaxation.affine_operations import REARRANGEMENTS
from onelip.certify.relaxation.intervals import Interval, around
from onelip.certify.relaxation.program import Program
from onelip.certify.relaxation.steps import Affine, Step
from onelip.certify.values import SLACK, TINY, Values, sample_norms
from onelip.linalg import gamma, sqrt_up, up

Norm = Literal["l2", "linf"]

SUMS = ("add", "subtract", "concatenate")
"""Operations of several inputs that move at most as far as these together, in l2."""


def along(per_sample: Tensor, like: Tensor) -> Tensor:
    """Let one number for each sample broadcast.

    Args:
        per_sample: `(N,)`.
        like: `(N, ...)`.

    Returns:
        `(N, 1, ...)`.
    """
    return per_sample.reshape(-1, *[1] * (like.dim() - 1))


@dataclass(frozen=True, eq=False)
class Region:
    """Balls around samples, and l2 balls around the values that a network gives them.

    Attributes:
        images: `(N, ...)` float64, exact.
        radius: `(N,)` float64.
        norm: Of the balls around samples.
        values: By step, about the value `(N, ...)` at the samples and at least its l2 error `(N,)`.
        spread: By step, at least the l2 distance `(N,)` of each value of the ball from the exact one at the sample.
    """

    images: Tensor
    radius: Tensor
    norm: Norm
    values: dict[str, Values]
    spread: dict[str, Tensor]

    def reach(self, name: str) -> Tensor | None:
        """Bound the l2 distance of each value of the ball from the computed one at the sample.

        Args:
            name: Of a step.

        Returns:
            `(N,)` rounded up, or None if nothing is known.
        """
        if name not in self.spread or name not in self.values:
            return None
        return (self.spread[name] + self.values[name][1]) * (1 + gamma(2))

    def input_box(self) -> Interval:
        """Enclose the inputs.

        Returns:
            The box around the ball.
        """
        return around(self.images, along(self.radius, self.images))

    def box(self, step: Step) -> Interval | None:
        """Enclose a value: no entry moves further than the row's norm times the way of the input, or than the whole.

        Args:
            step: The step that gives the value.

        Returns:
            The box, or None if nothing is known.
        """
        if step.name not in self.values:
            return None
        centre, error = self.values[step.name]
        norms = step.maps[0].row_norms if isinstance(step, Affine) and len(step.maps) == 1 else None
        if norms is not None and step.inputs[0] in self.spread:
            way = along(self.spread[step.inputs[0]], centre) * norms * SLACK + along(error, centre)
            return around(centre, way)
        reach = self.reach(step.name)
        return None if reach is None else around(centre, along(reach, centre))


def values_at(program: Program, images: Tensor) -> dict[str, Values]:
    """Evaluate a network at samples.

    Args:
        program: The rewritten network.
        images: `(N, ...)` float64.

    Returns:
        Values and bounds of their l2 errors, for the input, the nodes and the differences of halves.
    """
    values = evaluate_nodes(program.network, images)
    for step in program.steps:
        source = program.differences.get(step.name)
        if source in values and isinstance(step, Affine):
            x, error = values[source]
            difference = step.maps[0].apply(x)
            # The norm of (a, b) -> a - b is sqrt 2; one rounding.
            values[step.name] = difference, error * sqrt_up(2.0) * SLACK + sample_norms(difference) * gamma(2) + TINY
    return values


def make_region(program: Program, values: dict[str, Values], radius: Tensor, norm: Norm, constants: bool) -> Region:
    """Follow balls through a network by Lipschitz constants.

    Args:
        program: The rewritten network.
        values: From `values_at`.
        radius: `(N,)` float64.
        norm: Of the balls.
        constants: Use the constants of operations? They must be proved. Otherwise only those that are obvious.

    Returns:
        The region.
    """
    images = values[INPUT][0]
    # An l-infinity ball is in the l2 ball of sqrt(d) times the radius.
    spread = {INPUT: radius if norm == "l2" else radius * sqrt_up(float(images[0].numel())) * (1 + gamma(2))}
    for node in program.network.nodes:
        _follow(node, spread, constants)
    if constants:
        for name, source in program.differences.items():
            if source in spread:
                spread[name] = spread[source] * sqrt_up(2.0) * (1 + gamma(2)) + TINY
    return Region(images, radius, norm, values, spread)


def _follow(node: Node, spread: dict[str, Tensor], constants: bool) -> None:
    known = obvious_constant(node)
    constant = node.constant if known is None else known
    if not all(name in spread for name in node.inputs) or (known is None and not constants):
        return
    if len(node.inputs) > 1 and node.op not in SUMS:
        return
    total = torch.stack([spread[name] for name in node.inputs]).sum(0)
    if len(node.inputs) == 1:
        total = total * constant
    spread[node.name] = total * (1 + gamma(len(node.inputs) + 2)) + TINY


def obvious_constant(node: Node) -> float | None:
    """Bound an operation that takes no proof: copies of entries, differences to numbers, units of pixels.

    Args:
        node: The operation.

    Returns:
        Its l2 Lipschitz constant, or None.
    """
    if node.op == "normalize":
        least = float(node.tensors["std"].abs().min())
        return up(1 / least) if least > 0 else None
    return 1.0 if node.op in REARRANGEMENTS or node.op == "shift" else None


def beginnings(program: Program) -> set[str]:
    """Find the values that are the input but for obvious operations.

    Args:
        program: The rewritten network.

    Returns:
        Names of steps, and `INPUT`.
    """
    names = {INPUT}
    for node in program.network.nodes:
        if obvious_constant(node) is not None and node.inputs[0] in names:
            names.add(node.name)
    return names
