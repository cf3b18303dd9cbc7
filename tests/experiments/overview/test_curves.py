"""Curves of many runs."""

import json
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.experiments.overview.made_up import fill, row

from onelip import certify
from onelip.data import load
from onelip.experiments.overview.curves import (
    POINTS,
    choose_runs,
    collect_curves,
    learning_points,
    radius_points,
    thinned,
)
from onelip.experiments.run_folder import RunFolder
from onelip.layers import AOLLinear


def curves_of(collected, run):
    parts = next(parts for k, parts in collected.runs if k == run)
    return {
        collected.kinds[kind].key: list(zip(collected.grids[grid], values, strict=True)) for kind, grid, values in parts
    }


@given(n=st.integers(1, 300), most=st.integers(2, 80))
def test_thinned_curves_keep_their_ends_and_their_order(n, most):
    points = [(float(k), 0.0) for k in range(n)]
    kept = thinned(points, most)
    assert len(kept) == min(n, most)
    assert (kept[0], kept[-1]) == (points[0], points[-1])
    assert kept == sorted(set(kept))
    gaps = np.diff([x for x, _ in kept])
    assert len(gaps) == 0 or gaps.max() - gaps.min() <= 1


def test_learning_curves_are_read_with_the_time_since_the_beginning(tmp_path):
    folder = RunFolder(tmp_path)
    folder.metrics_file.write_text(
        "epoch,val_accuracy,learning_rate,seconds\n0,0.5,1,2\n1,,1,3\n2,nan,1,4\n3,0.7,1,5\n"
    )
    assert learning_points(folder) == {
        "val_accuracy": [(1.0, 0.5), (4.0, 0.7)],
        "seconds": [(1.0, 2.0), (2.0, 5.0), (3.0, 9.0), (4.0, 14.0)],
    }
    assert learning_points(RunFolder(tmp_path / "none")) == {}


def test_shares_are_exact_at_radii_that_runs_of_the_same_data_have_in_common():
    rows = [row(0), row(1), row(2, data="other")]
    radii = {k: ("certified:l2", np.sort(np.random.default_rng(k).uniform(0, 1 + k, 101))) for k in range(3)}
    curves = radius_points(rows, radii)
    places = [[x for x, _ in curves[k]["certified:l2"]] for k in range(3)]
    assert places[0] == places[1]
    assert places[0] != places[2]
    for k, (_, values) in radii.items():
        assert len(curves[k]["certified:l2"]) == POINTS
        for radius, share in curves[k]["certified:l2"]:
            assert share == pytest.approx((values > radius).mean())


def test_the_best_of_each_combination_come_first():
    rows = [row(k, layer="aoc" if k < 6 else "aol") for k in range(8)]
    assert choose_runs(rows, range(8), 8) == list(range(8))
    assert choose_runs(rows, [5, 4, 3, 2, 1, 0, 7, 6], 3) == [4, 5, 7]


def test_what_is_not_proved_is_another_curve(tmp_path):
    proved, estimated = fill(row(0, folder=tmp_path)), fill(row(1, folder=tmp_path), proved=False, norm="linf")
    collected = collect_curves([proved, estimated], [0, 1], 10)
    assert "certified:l2" in curves_of(collected, 0)
    assert "estimate:linf" in curves_of(collected, 1)
    names = {kind.key: kind.name for kind in collected.kinds}
    assert "ESTIMATED" in names["estimate:linf"]
    assert names["certified:l2"] == "certified accuracy (l2)"


def test_shares_are_those_of_a_real_certificate(tmp_path):
    torch.manual_seed(0)
    digits = load("digits").test
    model = torch.nn.Sequential(torch.nn.Flatten(), AOLLinear(64, 10))
    certificate = certify(model.eval(), digits.pixels()[:50], digits.labels[:50])
    run = row(0, folder=tmp_path)
    run.folder.mkdir()
    certificate.save(run.folder)
    points = curves_of(collect_curves([run], [0], 10), 0)["certified:l2"]
    assert any(share > 0 for _, share in points)
    for radius, share in points:
        assert share == pytest.approx(certificate.certified_accuracy(radius))


def test_runs_with_broken_files_are_counted(tmp_path):
    rows = [fill(row(k, folder=tmp_path)) for k in range(4)]
    (rows[1].folder / "certificate.json").write_text("{")
    (rows[2].folder / "metrics.csv").write_text("epoch,val_accuracy\n0,much\n")
    (rows[3].folder / "metrics.csv").write_text("epoch,val_accuracy\n0,0.51,0.6\n")
    collected = collect_curves(rows, [0, 1, 2, 3], 10)
    assert collected.broken == 3
    # What was read before the broken file stays.
    assert [k for k, _ in collected.runs] == [0, 1]
    assert "certified:l2" not in curves_of(collected, 1)


def test_a_run_without_files_has_no_curves(tmp_path):
    collected = collect_curves([row(0, folder=tmp_path)], [0], 10)
    assert collected.runs == ()
    assert collected.kinds == ()


def test_an_infinite_radius_does_not_stretch_the_axis():
    curves = radius_points([row(0)], {0: ("certified:l2", np.array([0.0, 0.5, math.inf]))})
    assert curves[0]["certified:l2"][-1][0] < 0.6
    assert json.dumps(curves[0], allow_nan=False)
