"""The page of a run without a certificate: norms as they are in its files, and no word of a proof."""

import json
import re

import pytest

from onelip.experiments.report.norms import attack_rows, checks_chart, norm_tiles, norms_section, parts_chart
from onelip.experiments.report.page import render
from onelip.experiments.report.record import read_run


@pytest.fixture(scope="module")
def record(ordinary):
    return read_run(ordinary.path)


def test_the_page_says_that_nothing_is_proved_and_asks_for_no_certificate(record):
    page = render(record, None, "")
    assert "Nothing is proved about this network" in page
    assert '<li class="badge ">nothing is proved</li>' in page
    for absent in ("There is no certificate yet", "certified radius", "Certified accuracy", "Warning.", "it is proved"):
        assert absent not in page
    headings = re.findall(r"<h2[^>]*>([^<]*)", page)
    assert headings == [
        "Training", "Norms of the layers", "Under attack", "Check it yourself", "Where the numbers come from",
    ]  # fmt: skip
    assert "its validation accuracy" in page


def test_the_norms_are_those_of_the_files(record):
    section = norms_section(record)
    results = json.loads(record.folder.results_file.read_text())
    assert [row["norm"] for row in section["rows"]] == [f"{row['values'][0]:.4f}" for row in results["spectrum"]]
    assert "gouk, norms up to 1, warm_start True; batch normalisations kept" in section["text"]
    assert [chart.title for chart in section["charts"]] == ["During the training", "Of the weights that were kept"]


def test_the_chart_of_the_checks_has_their_extremes(record):
    lines = {line["name"]: line["points"] for line in json.loads(checks_chart(record).readout)["lines"]}
    steps = sorted({row["step"] for row in record.norms})
    for name, choose in (("largest", max), ("smallest", min)):
        values = [choose(row["value"] for row in record.norms if row["step"] == step) for step in steps]
        assert lines[name] == [
            [step, pytest.approx(value, rel=1e-4)] for step, value in zip(steps, values, strict=True)
        ]
    assert lines["what is clipped to"][0][1] == 1


def test_kinds_of_parts_are_told_apart(record):
    lines = {line["name"]: line["points"] for line in json.loads(parts_chart(record).readout)["lines"]}
    assert [x for x, _ in lines["convolutions and dense layers"]] == [1, 3]
    assert [x for x, _ in lines["batch normalisations"]] == [2]


def test_tiles_have_the_method_and_the_largest_norm(record):
    largest = max(row["value"] for row in record.norms)
    assert norm_tiles(record) == [
        ("clipping", "gouk", "to 1, wBN"), ("largest norm", f"{largest:.4f}", "at 3 checks of the training"),
    ]  # fmt: skip
    assert [row["attack"] for row in attack_rows(record)] == ["pgd-linf"]


def test_runs_for_a_certificate_have_none_of_it(finished):
    record = read_run(finished.path)
    assert norms_section(record) is None
    assert attack_rows(record) is None
    assert norm_tiles(record) == []
    assert "Norms of the layers" not in render(record, None, "")


def test_an_unfinished_run_is_told_to_be_finished(ordinary, tmp_path):
    (tmp_path / "config.yaml").write_text(ordinary.config_file.read_text())
    page = render(read_run(tmp_path), None, "")
    assert "This run has no results yet" in page
    assert "There is no certificate yet" not in page
