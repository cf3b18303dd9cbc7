"""The sections about margins, depth and gradients say what was measured."""

import dataclasses
import json

import pytest

from onelip.experiments.report.record import read_run
from onelip.experiments.report.robustness import (
    activity_chart,
    depth_section,
    gradients_section,
    margins_section,
    radii_of,
    variance_chart,
)


@pytest.fixture(scope="module")
def record(finished):
    return read_run(finished.path)


def lines(chart):
    return {line["name"]: line["points"] for line in json.loads(chart.readout)["lines"]}


def test_the_bars_are_the_histogram_and_the_rules_the_radii(record, evidence):
    section = margins_section(record, evidence)
    counts = evidence.margins.histogram()
    drawn = lines(section["chart"])
    right = drawn[f"right ({counts.right.sum()})"]
    assert [y for _, y in right] == [*counts.right.tolist(), 0]
    assert [x for x, _ in right] == pytest.approx(counts.edges.tolist(), rel=1e-4)
    assert sum(y for _, y in drawn["certified radii"]) == (evidence.radii > 0).sum()
    assert radii_of(record) == [0.25, 0.5]
    assert [text for _, text in section["chart"].rules] == ["0.25", "0.5"]
    assert "divided by √2 times the constant 1.0000" in section["text"]
    assert "certified radii" in section["note"]


def test_margins_without_a_constant_promise_nothing(record, evidence):
    margins = dataclasses.replace(evidence.margins, norm=None)
    section = margins_section(record, dataclasses.replace(evidence, margins=margins, radii=None))
    assert "No constant is proved" in section["text"]
    assert section["chart"].rules == ()
    assert section["chart"].x.label == "margin in units of the logits"
    assert "certified" not in section["note"]


def test_the_variance_is_drawn_below_what_the_constants_allow(record, evidence):
    drawn = lines(variance_chart(evidence.depth, record))
    left = dict(drawn["left after the part"])
    assert [left[k + 1] for k in range(len(evidence.depth.parts))] == pytest.approx(
        [part.ratio for part in evidence.depth.parts], rel=1e-4
    )
    for at, most in drawn["at most, by the constants"]:
        assert left[at] <= most * (1 + 1e-4)


def test_a_signal_that_vanishes_is_named(record, evidence):
    whole = depth_section(evidence, record)
    assert whole["note"].startswith("No part leaves less than 1.00")
    assert not whole["alarm"]
    parts = list(evidence.depth.parts)
    parts[3] = dataclasses.replace(parts[3], collapsed=True, ratio=0.0)
    depth = dataclasses.replace(evidence.depth, parts=tuple(parts))
    section = depth_section(dataclasses.replace(evidence, depth=depth), record)
    assert section["alarm"].startswith(f"After {parts[3].name} less than 1.00")
    assert [row["collapsed"] for row in section["rows"]] == [k == 3 for k in range(len(parts))]
    assert "nan" not in section["charts"][0].drawings[0].line
    absent = depth_section(dataclasses.replace(evidence, depth=None, depth_absent="why"), record)
    assert absent == {"absent": "why"}


def test_activity_is_that_of_the_activations(evidence):
    chart = activity_chart(evidence.depth)
    chosen = evidence.depth.activations(5)
    assert [d.name for d in chart.drawings] == [part.name for part in chosen]
    assert len({d.look for d in chart.drawings}) == len(chosen)


def test_each_gradient_has_its_norm(record, evidence):
    section = gradients_section(evidence, record)
    assert section["names"] == [str(k) for k in range(10)]
    norms = [[cell["norm"] for cell in row["cells"]] for row in section["rows"]]
    assert norms == [[f"{n:.3f}" for n in row] for row in evidence.gradients.norms.tolist()]
    assert "orange" in section["meaning"]
    assert "at most the constant of the network" in section["note"]
