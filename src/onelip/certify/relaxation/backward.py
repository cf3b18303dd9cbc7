"""Lower bounds of linear functionals of a network's values, from the functional back to the input."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from onelip.certify.records import INPUT
from onelip.certify.relaxation.intervals import Interval
from onelip.certify.relaxation.program import Program
from onelip.certify.relaxation.region import Region, beginnings
from onelip.certify.relaxation.steps import Affine, Linearised, Maximum, Rectifier, Slopes, Step
from onelip.certify.values import SLACK, TINY
from onelip.linalg import gamma

Method = Literal["ibp", "crown-ibp", "crown"]

BUDGET = 2**22
"""Coefficients of a functional kept at a time, 32 MiB."""


@dataclass(eq=False)
class Enclosures:
    """What is known of the values of a network over a region.

    Attributes:
        program: The rewritten network.
        region: Balls around samples.
        method: How the inputs of rectifiers are enclosed: "crown" by functionals back to the input, the others by
            boxes; "ibp" uses boxes for the logits, too.
        slopes: Which lower lines.
        constants: May the l2 balls around values be used?
        boxes: By step.
        lines: By step.
    """

    program: Program
    region: Region
    method: Method
    slopes: Slopes
    constants: bool
    boxes: dict[str, Interval] = field(default_factory=dict)
    lines: dict[str, Linearised] = field(default_factory=dict)

    def enclose(self) -> None:
        """Go through the network and find boxes and lines of every step."""
        self.boxes[INPUT] = self.region.input_box()
        for step in self.program.steps:
            if self.method == "crown" and isinstance(step, (Rectifier, Maximum)):
                self._tighten(step)
            inputs = [self.boxes[name] for name in step.inputs]
            box, ball = step.enclose(inputs), self.region.box(step)
            self.boxes[step.name] = box if ball is None else box.intersect(ball)
            self.lines[step.name] = step.linearise(inputs, self.slopes)

    def _tighten(self, step: Step) -> None:
        # Of the input's entries, only those matter that are not known to be on one side of the kink.
        name = step.inputs[0]
        box = self.boxes[name]
        if name == INPUT or self._exact(name):
            return
        open_entries = torch.ones_like(box.lower, dtype=torch.bool)
        if isinstance(step, Rectifier):
            open_entries = ~((box.lower >= 0) | (box.upper <= 0))
        wanted = open_entries.flatten(1).any(0).nonzero().flatten()
        lower, upper = box.lower.flatten(1).clone(), box.upper.flatten(1).clone()
        n_samples, n_entries = lower.shape
        for part in wanted.split(max(1, BUDGET // (2 * n_samples * self.program.largest))):
            rows = torch.zeros(len(part), n_entries, dtype=lower.dtype)
            rows[torch.arange(len(part)), part] = 1
            rows = torch.cat([rows, -rows])[None]
            found = self.lower_bounds(name, rows.unflatten(2, box.lower.shape[1:]))
            lower[:, part] = torch.maximum(lower[:, part], found[:, : len(part)])
            upper[:, part] = torch.minimum(upper[:, part], -found[:, len(part) :])
        self.boxes[name] = Interval(lower.reshape(box.lower.shape), upper.reshape(box.lower.shape))

    def _exact(self, name: str) -> bool:
        # An affine map of the l2 ball has the box that its rows' norms give.
        step = next(step for step in self.program.steps if step.name == name)
        if not isinstance(step, Affine) or len(step.maps) != 1 or self.region.norm != "l2":
            return False
        return step.maps[0].row_norms is not None and step.inputs[0] in beginnings(self.program)

    def lower_bounds(self, start: str, rows: Tensor) -> Tensor:
        """Bound functionals of a value below.

        Args:
            start: Step that gives the value.
            rows: `(N, R, *shape)` coefficients, or `(1, R, *shape)` for all samples; float64, exact.

        Returns:
            `(N, R)` at most the least value over the region; -inf where nothing is known.
        """
        pending = {start: rows}
        constant = torch.zeros(rows.shape[:2], dtype=rows.dtype)
        error = torch.zeros_like(constant)
        best = torch.full_like(constant, -torch.inf)
        names = [step.name for step in self.program.steps]
        last = names.index(start) if start != INPUT else -1
        for step in reversed(self.program.steps[: last + 1]):
            if step.name not in pending:
                continue
            if len(pending) == 1:
                best = _larger(best, self._at(step.name, pending[step.name], constant, error))
            if self.method == "ibp" and not (isinstance(step, Affine) and step.monotone is None):
                return _larger(best, self._over_boxes(pending, constant, error))
            constant, error = self._back(step, pending, constant, error)
        return _larger(best, self._at(INPUT, pending[INPUT], constant, error)) if INPUT in pending else best

    def _back(self, step: Step, pending: dict[str, Tensor], constant: Tensor, error: Tensor) -> tuple[Tensor, Tensor]:
        a, lines = pending.pop(step.name), self.lines[step.name]
        parts, offset = lines.pull(a)
        # Every product of a coefficient and an intercept goes into one sum over entries and one over steps.
        n_roundings = lines.terms + lines.size[0].numel() + len(self.program.steps) + 8
        error = error + _size(a, lines.size) * gamma(n_roundings)
        for name, part in zip(step.inputs, parts, strict=True):
            sizes = self.boxes[name].size
            # Underflow of the products, and the sum with what other steps ask of the same input.
            error = error + TINY * (1 + sizes.flatten(1).sum(1)[:, None])
            if name in pending:
                part = part + pending[name]
                error = error + _size(part, sizes) * gamma(2)
            pending[name] = part
        return (constant if offset is None else constant + offset), error * SLACK

    def _over_boxes(self, pending: dict[str, Tensor], constant: Tensor, error: Tensor) -> Tensor:
        # The least of a sum of functionals, each over the box of its value.
        total, size, n_entries = torch.zeros_like(constant), torch.zeros_like(constant), len(pending)
        for name, a in pending.items():
            box = self.boxes[name]
            total = total + (a * torch.where(a > 0, box.lower[:, None], box.upper[:, None])).flatten(2).sum(2)
            size = size + _size(a, box.size)
            n_entries += box.lower[0].numel()
        return _down(total + constant, size, constant, error, n_entries)

    def _at(self, name: str, a: Tensor, constant: Tensor, error: Tensor) -> Tensor:
        # The least of a functional over the ball around its value.
        reach = self.region.reach(name) if self.constants or name == INPUT else None
        if reach is None:
            return torch.full_like(constant, -torch.inf)
        flat, centre = a.flatten(2), self.region.values[name][0].flatten(1)
        value = (flat @ centre[:, :, None])[:, :, 0]
        if name == INPUT and self.region.norm == "linf":
            length, reach = flat.abs().sum(2), self.region.radius
        else:
            length = torch.linalg.vector_norm(flat, dim=2)
        away = (length * (1 + gamma(flat.shape[2] + 8)) + TINY) * reach[:, None]
        size = _size(a, centre.abs()) + away
        return _down(value - away + constant, size, constant, error, flat.shape[2])


def _size(a: Tensor, sizes: Tensor) -> Tensor:
    # <|a|, sizes> for each functional.
    return (a.abs().flatten(2) @ sizes.flatten(1)[:, :, None])[:, :, 0]


def _down(value: Tensor, size: Tensor, constant: Tensor, error: Tensor, n_entries: int) -> Tensor:
    # `value` is a sum of products, of sizes that add up to `size`, and two more numbers.
    slack = (size + constant.abs() + error) * gamma(n_entries + 16) * SLACK
    return value - (error + slack) * SLACK - TINY


def _larger(a: Tensor, b: Tensor) -> Tensor:
    # NaN says nothing.
    return torch.where(b > a, b, a)
