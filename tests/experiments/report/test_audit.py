"""The table of layers."""

import torch

from onelip.certify import load_certificate
from onelip.experiments.report.audit import HEIGHT, N_POINTS, WIDTH, audit_rows, sparkline
from onelip.experiments.report.spectra import Spectrum


def test_every_part_of_the_network_has_a_row_and_affine_ones_a_spectrum(finished):
    certificate = load_certificate(finished.certificate_file)
    rows = audit_rows(certificate)
    assert [row.name for row in rows] == [layer.name for layer in certificate.bound.layers]
    for row, layer in zip(rows, certificate.bound.layers, strict=True):
        assert float(row.constant) >= layer.bound.value
        assert float(row.cumulative) >= layer.cumulative.value
        assert row.proved
        assert row.isometric == (row.kind in ("Flatten", "MaxMin", "Normalize"))
        assert (row.spectrum is not None) == (row.kind == "Linear")
    details = {row.kind: row.detail for row in rows}
    assert (details["MaxMin"], details["Flatten"]) == ("MaxMin", "Flatten → 64")
    assert details["Linear"] == "Linear, 32 → 10"
    spectra = [row.spectrum for row in rows if row.spectrum is not None]
    assert all(0.99 < float(s.text.split(" ")[-1]) < 1.01 for s in spectra)


def points(line):
    return [tuple(map(float, pair.split())) for pair in line[1:].split("L")]


def test_a_sparkline_falls_from_left_to_right_and_marks_one():
    values = torch.linspace(2.0, 0.0, 500, dtype=torch.float64)
    drawn = sparkline(Spectrum(values))
    placed = points(drawn.line)
    assert len(placed) == N_POINTS
    assert [x for x, _ in placed] == sorted(x for x, _ in placed)
    assert [y for _, y in placed] == sorted(y for _, y in placed)
    assert (placed[0][0], placed[-1]) == (0, (WIDTH, HEIGHT))
    assert placed[0][1] < drawn.one < HEIGHT
    assert drawn.text == "0.0000 … 2.0000"
    assert drawn.count == "500 singular values"


def test_a_single_value_is_a_line_and_a_part_is_named():
    drawn = sparkline(Spectrum(torch.ones(1, dtype=torch.float64), "of 1 of its 4 rows"))
    assert len(points(drawn.line)) == 2
    assert drawn.description == "1 singular value of 1 of its 4 rows, 1.0000"
