"""The rows of the page's table of layers."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from onelip.bounds import LayerBound
from onelip.certify import Certificate
from onelip.experiments.report.numbers import shape_text, upper_text
from onelip.experiments.report.spectra import Spectrum, layer_spectra

WIDTH, HEIGHT = 120, 28
"""Size of a sparkline in pixels."""

N_POINTS = 96
"""A sparkline shows so many singular values, evenly spread over the ranks."""


@dataclass(frozen=True)
class Sparkline:
    """A small picture of a layer's singular values.

    Attributes:
        line: SVG path.
        one: Height of the value 1 in pixels from the top.
        text: Range of the values.
        count: How many they are, and of what part of the layer.
        description: The same in a sentence.
    """

    line: str
    one: float
    text: str
    count: str
    description: str


@dataclass(frozen=True)
class AuditRow:
    """One part of the network.

    Attributes:
        name: Name of the module or operation.
        kind: Its class.
        detail: The class, with what there is to know of the shapes.
        constant: Its Lipschitz constant, rounded up.
        proved: Whether that is proved.
        method: How it was obtained.
        cumulative: Constant from the network's input to its output, rounded up.
        spectrum: Its singular values, for affine layers.
        isometric: Whether it is of the kind that never stretches, so that nothing has to be computed.
    """

    name: str
    kind: str
    detail: str
    constant: str
    proved: bool
    method: str
    cumulative: str
    spectrum: Sparkline | None
    isometric: bool


def audit_rows(certificate: Certificate) -> list[AuditRow]:
    """Describe every part of a certified network.

    Args:
        certificate: The certificate.

    Returns:
        One row for each part, in order of execution.
    """
    spectra = layer_spectra(certificate.network, certificate.bound.layers)
    return [_row(layer, spectra.get(layer.name)) for layer in certificate.bound.layers]


def sparkline(spectrum: Spectrum) -> Sparkline:
    """Draw singular values by rank, from the largest to the smallest, on an axis from 0 to at least 1.

    Args:
        spectrum: The values.

    Returns:
        The picture.
    """
    values = spectrum.values
    # A single value is drawn as a line too.
    n = max(2, min(N_POINTS, len(values)))
    chosen = values[torch.linspace(0, len(values) - 1, n).round().long()].tolist()
    top = 1.12 * max(1.0, spectrum.largest)
    points = [(WIDTH * k / (n - 1), HEIGHT * (1 - value / top)) for k, value in enumerate(chosen)]
    line = "M" + "L".join(f"{x:.4g} {y:.4g}" for x, y in points)
    low, high = f"{spectrum.smallest:.4f}", f"{spectrum.largest:.4f}"
    text = low if low == high else f"{low} … {high}"
    count = f"{len(values):,} singular value{'s' if len(values) > 1 else ''}"
    partial = f" {spectrum.partial}" if spectrum.partial else ""
    return Sparkline(line, HEIGHT * (1 - 1 / top), text, f"{count}{partial}", f"{count}{partial}, {text}")


def _row(layer: LayerBound, spectrum: Spectrum | None) -> AuditRow:
    isometric = spectrum is None and layer.bound.proved and layer.bound.value == 1.0
    before, after = shape_text(layer.input_shape), shape_text(layer.output_shape)
    detail = f"{layer.kind}, {before} → {after}"
    if isometric:
        detail = layer.kind if before == after else f"{layer.kind} → {after}"
    return AuditRow(
        name=layer.name,
        kind=layer.kind,
        detail=detail,
        constant=upper_text(layer.bound.value),
        proved=layer.bound.proved,
        method=layer.bound.method,
        cumulative=upper_text(layer.cumulative.value),
        spectrum=None if spectrum is None else sparkline(spectrum),
        isometric=isometric,
    )
