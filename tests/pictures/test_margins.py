"""Margins in units of pixels."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torch import nn

from onelip import certify
from onelip.pictures import PixelMargins, pixel_margins
from onelip.pictures.margins import certified_outline

LOGITS = torch.tensor([[2.0, 1.0, 0.0], [0.0, 3.0, 1.0], [1.0, 5.0, 0.0]])
LABELS = torch.tensor([0, 2, 1])


@pytest.mark.parametrize(("norm", "factor"), [("l2", math.sqrt(2)), ("linf", 2.0)])
def test_leads_are_divided_by_the_constant_of_differences(norm, factor):
    margins = pixel_margins(LOGITS, LABELS, lipschitz=0.5, norm=norm)
    assert margins.values == pytest.approx(np.array([1.0, -2.0, 4.0]) / (0.5 * factor))
    assert margins.right.tolist() == [True, False, True]
    assert margins.unit == f"margin in pixels, {norm}"


def test_without_a_constant_they_are_in_units_of_the_logits():
    margins = pixel_margins(LOGITS, LABELS)
    assert margins.values.tolist() == [1.0, -2.0, 4.0]
    assert margins.unit == "margin in units of the logits"


def test_they_are_the_distances_to_the_edge_of_two_half_spaces():
    # z = (w x, -w x) with |w| = 3/5 has constant 0.6 sqrt(2), and changes its answer on the plane w x = 0.
    w = torch.tensor([[0.36, 0.48]])
    network = nn.Linear(2, 2, bias=False)
    with torch.no_grad():
        network.weight.copy_(torch.cat([w, -w]))
    x = torch.tensor([[0.5, 0.5], [0.1, 0.9]])
    margins = pixel_margins(network(x), torch.tensor([0, 1]), lipschitz=0.6 * math.sqrt(2))
    distances = (x @ w[0] / 0.6).double().numpy()
    assert margins.values == pytest.approx([distances[0], -distances[1]], rel=1e-6)
    radii = certify(network, x, torch.tensor([0, 1])).radii
    assert radii[0] == pytest.approx(margins.values[0], rel=1e-5)


@given(st.lists(st.floats(-5, 5), max_size=40), st.integers(1, 60))
def test_every_margin_is_in_its_bin_and_none_across_zero(values, bins):
    margins = PixelMargins(np.array([*values, math.nan]), np.array([v > 0 for v in values] + [False]), "l2")
    counts = margins.histogram(bins)
    assert counts.right.sum() == sum(v > 0 for v in values)
    assert counts.wrong.sum() == sum(v <= 0 for v in values)
    assert np.abs(counts.edges).min() == 0
    widths = np.diff(counts.edges)
    assert len(widths) <= bins + 2
    assert widths == pytest.approx(np.full(len(widths), widths[0]))
    for low, high, n in zip(counts.edges, counts.edges[1:], counts.right, strict=False):
        assert n >= sum(v > 0 and low < v < high for v in values)


def test_the_outline_counts_positive_radii_and_none_is_lost():
    outline = certified_outline(np.array([0.0, 0.5, 1.5, 9.0]), np.array([-1.0, 0.0, 1.0, 2.0]))
    assert outline.tolist() == [0, 1, 2]


@pytest.mark.parametrize("lipschitz", [0.0, math.nan, math.inf])
def test_a_constant_that_is_none_is_refused(lipschitz):
    with pytest.raises(ValueError, match="in pixel_margins must be positive and finite, or None"):
        pixel_margins(LOGITS, LABELS, lipschitz=lipschitz)


def test_bad_norms_and_bins_are_refused():
    with pytest.raises(ValueError, match="norm='l1' in pixel_margins must be 'l2' or 'linf'"):
        pixel_margins(LOGITS, LABELS, norm="l1")
    with pytest.raises(ValueError, match="bins=0 in histogram"):
        pixel_margins(LOGITS, LABELS).histogram(0)


def test_the_histogram_is_drawn(tmp_path):
    path = tmp_path / "margins.png"
    margins = pixel_margins(LOGITS, LABELS, lipschitz=1.0)
    margins.plot(path, radii=(0.25, 0.5, 99.0), certified=np.array([0.7, 0.0, 2.9]))
    with Image.open(path) as picture:
        assert picture.size == (1280, 760)
    margins.plot(tmp_path / "margins.svg")
    first = (tmp_path / "margins.svg").read_bytes()
    margins.plot(tmp_path / "margins.svg")
    assert (tmp_path / "margins.svg").read_bytes() == first
