"""The largest singular values of every layer of a network, at the input size that it really gets."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from typing_extensions import override

from onelip.files import write_text_atomically
from onelip.layers.plain import evaluating
from onelip.linalg import unknown_name
from onelip.spectral.affine_map import AffineMap
from onelip.spectral.closed_forms import closed_form
from onelip.spectral.layer_spectrum import LayerSpectrum, as_csv, as_json, as_markdown, as_table, labels, shape_text
from onelip.spectral.parts import Called, Part, find_parts
from onelip.spectral.singular_values import singular_values
from onelip.spectral.spectrum_plot import draw_spectrum

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Spectrum:
    """The largest singular values of the affine parts of a network; an estimate from below, not a proof.

    Attributes:
        rows: One for each part, in order of execution.
        input_shape: Shape of one input of the network.
        tol: Error of the iterated values, relative to the largest of the part.
        not_affine: Names of modules with parameters that ran and have no singular values, since they are not affine.
        not_reached: Names of modules with parameters that did not run as modules; nothing is said about them.
    """

    rows: tuple[LayerSpectrum, ...]
    input_shape: tuple[int, ...]
    tol: float
    not_affine: tuple[str, ...] = ()
    not_reached: tuple[str, ...] = ()

    @property
    def converged(self) -> bool:
        """Are all values within the tolerance?"""
        return all(row.converged for row in self.rows)

    def values_by_name(self) -> dict[str, tuple[float, ...]]:
        """Give the values by the name of the part.

        Returns:
            One entry for each row; where a module runs at several shapes, the name has the shape behind it.
        """
        return dict(zip(labels(self.rows), (row.values for row in self.rows), strict=True))

    @override
    def __str__(self) -> str:
        return "\n".join([*as_table(self.rows), *self.remarks()])

    def to_markdown(self) -> str:
        """Write the table as Markdown.

        Returns:
            The text.
        """
        return "\n".join([*as_markdown(self.rows), "", *(f"- {line}" for line in self.remarks())]) + "\n"

    def csv_text(self) -> str:
        """Write the rows as comma-separated values, one column for each singular value.

        Returns:
            The text, with a header.
        """
        return as_csv(self.rows)

    def json_text(self) -> str:
        """Write everything as JSON.

        Returns:
            The text; values that are not finite are null.
        """
        facts: dict[str, Any] = {
            "input_shape": self.input_shape,
            "tol": self.tol,
            "not_affine": self.not_affine,
            "not_reached": self.not_reached,
        }
        return as_json(self.rows, facts)

    def to_csv(self, path: str | Path) -> None:
        """Write the rows into a CSV file, in one step.

        Args:
            path: Where; a file there is replaced.
        """
        write_text_atomically(Path(path), self.csv_text())

    def to_json(self, path: str | Path) -> None:
        """Write everything into a JSON file, in one step.

        Args:
            path: Where; a file there is replaced.
        """
        write_text_atomically(Path(path), self.json_text())

    def plot(self, path: str | Path) -> None:
        """Draw the values of each part on a logarithmic axis, with a line at 1; needs matplotlib.

        Args:
            path: Where; the ending, such as .png, .svg or .pdf, says in which format.
        """
        draw_spectrum(self.rows, Path(path))

    def remarks(self) -> list[str]:
        """Say what the table cannot.

        Returns:
            Lines: how exact the values are, the largest one, and what is not in the table.
        """
        finite = [(row.largest, label) for label, row in zip(labels(self.rows), self.rows, strict=True)]
        top = max((pair for pair in finite if math.isfinite(pair[0])), default=None)
        largest = "" if top is None else f"; the largest is {top[0]:.5g}, of {top[1]}"
        lines = [
            f"{len(self.rows)} parts at inputs {shape_text(self.input_shape)}{largest}",
            f"estimates from below, to {self.tol:g} of the largest value of the part; closed forms are exact; no proof",
        ]
        if not self.converged:
            lines.append("* NOT CONVERGED to that, or weights that are not finite")
        if self.not_affine:
            lines.append(f"not affine, so without singular values: {', '.join(self.not_affine)}")
        if self.not_reached:
            lines.append(f"NOT REACHED by the pass, so unknown: {', '.join(self.not_reached)}")
        return lines


def spectrum(
    model: nn.Module,
    input_shape: tuple[int, ...],
    k: int = 1,
    *,
    joint: bool = False,
    tol: float = 1e-3,
    names: Collection[str] | None = None,
    progress: Progress | None = None,
) -> Spectrum:
    """Find the k largest singular values of every affine part of a network, at its true input size.

    One traced pass finds the parts (see `affine_parts`); the network is left exactly as it is. Values come from closed
    forms where there are any, from `singular_values` otherwise.

    Args:
        model: Any module that maps `(B, *input_shape)`; it is evaluated as in eval mode.
        input_shape: Shape of one input, without the batch.
        k: How many values of each part.
        joint: Take a convolution or dense layer and the batch normalisation behind it as one map.
        tol: Error of iterated values, relative to the largest of the part.
        names: Only parts of these modules; all by default.
        progress: Called as `progress(done, total)` after each part.

    Returns:
        One row for each part, with what could not be measured.

    Raises:
        ValueError: If the network does not accept the shape, an argument is out of range, or a name is not a part's.
    """
    if isinstance(k, bool) or not isinstance(k, int) or k < 1:
        raise ValueError(f"k={k!r} in spectrum must be a positive integer")
    if not 0 < tol < 1:
        raise ValueError(f"tol={tol!r} in spectrum must be between 0 and 1")
    found = find_parts(model, input_shape, joint=joint)
    parts = found.affine if names is None else _named(found.affine, names)
    rows = []
    for done, part in enumerate(parts, start=1):
        rows.append(_row(part, k, tol))
        if progress is not None:
            progress(done, len(parts))
    return Spectrum(tuple(rows), tuple(input_shape), tol, found.not_affine, found.not_reached)


def _named(parts: Sequence[Part], names: Collection[str]) -> list[Part]:
    own = {id(part): {part.name, *part.name.split(" + ")} for part in parts}
    known = set().union(*own.values())
    for name in names:
        if name not in known:
            raise ValueError(unknown_name("part", name, known))
    return [part for part in parts if own[id(part)] & set(names)]


def _row(part: Part, k: int, tol: float) -> LayerSpectrum:
    first = part.module[0] if isinstance(part.module, nn.Sequential) else part.module
    first = first.module if isinstance(first, Called) else first
    with evaluating(part.module), torch.no_grad():
        output_shape = _output_shape(part)
        weight = getattr(first, "weight", None)
        shape = tuple(weight.shape) if isinstance(weight, Tensor) else None
    n_values = min(k, math.prod(part.input_shape), math.prod(output_shape))
    values, converged, exact = _values(part, n_values, tol)
    return LayerSpectrum(
        part.name,
        part.kind,
        shape,
        _option(first, "stride"),
        _option(first, "padding"),
        _option(first, "dilation"),
        getattr(first, "groups", None),
        part.input_shape,
        output_shape,
        values,
        converged,
        exact,
    )


def _output_shape(part: Part) -> tuple[int, ...]:
    like = next((t for t in _tensors(part) if t.is_floating_point()), torch.zeros(()))
    with torch.autocast(like.device.type, enabled=False):
        x = torch.zeros(1, *part.input_shape, dtype=like.dtype, device=like.device)
        return tuple(part.module(x).shape[1:])


def _tensors(part: Part) -> list[Tensor]:
    return [*part.module.parameters(), *part.module.buffers()]


def _option(module: nn.Module, name: str) -> Any:
    value = getattr(module, name, None)
    return value if isinstance(value, (tuple, str)) else None


def _values(part: Part, n_values: int, tol: float) -> tuple[tuple[float, ...], bool, bool]:
    if not all(bool(t.isfinite().all()) for t in _tensors(part) if t.is_floating_point() or t.is_complex()):
        return (math.nan,) * n_values, False, False
    exact = closed_form(part.module, part.input_shape, n_values)
    if exact is not None:
        given = exact.tolist()
        return (*given, *[0.0] * (n_values - len(given))), True, True
    result = singular_values(AffineMap(part.module, part.input_shape), k=n_values, tol=tol)
    return tuple(result.values.tolist()), result.converged, False
