"""What the charts of a run show."""

import json
import math
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from onelip.experiments.report.curves import certified_chart, certified_curve, learning_charts, radius_limit

radii_lists = st.lists(st.floats(0.0, 3.0), min_size=1, max_size=60)


def value_at(points, radius):
    return [share for start, share in points if start <= radius][-1]


@example(radii=[1.0], limit=1.0, where=1.0)
@given(radii=radii_lists, limit=st.floats(0.1, 5.0), where=st.floats(0.0, 1.0))
def test_the_curve_is_never_above_the_certified_accuracy(radii, limit, where):
    points = certified_curve(radii, limit)
    radius = where * limit
    true = float((np.array(radii) > radius).mean())
    assert value_at(points, radius) <= true + 1e-12
    assert [x for x, _ in points] == sorted(x for x, _ in points)
    shares = [share for _, share in points]
    assert shares == sorted(shares, reverse=True)
    assert (points[0][0], points[-1][0]) == (0.0, limit)


def test_the_curve_of_a_few_samples_is_exact():
    assert certified_curve([0.0, 0.5, 0.5, 1.0], 2.0) == [(0.0, 0.75), (0.5, 0.25), (1.0, 0.0), (2.0, 0.0)]


def test_many_samples_give_a_curve_of_bounded_size():
    radii = np.random.default_rng(0).uniform(0, 1, 20_000)
    points = certified_curve(radii, 1.0)
    assert len(points) < 1100
    for radius in (0.1, 0.333, 0.9):
        assert value_at(points, radius) == pytest.approx((radii > radius).mean(), abs=2e-3)


def test_an_unbounded_radius_does_not_stretch_the_axis():
    assert 1.0 < radius_limit([0.0, *[0.5] * 500, 1e12], [1.0]) < 1.2
    assert radius_limit([0.0, 0.0], []) == pytest.approx(1.0)


def make_certificate(radii):
    radii = np.array(radii)
    return SimpleNamespace(norm="l2", radii=radii, accuracy=0.9, certified_accuracy=lambda r: float((radii > r).mean()))


def make_attack(samples, accuracy=(0.6, 0.2)):
    return {"radii": [0.25, 0.5], "accuracy": list(accuracy), "samples": samples, "clean_on_same": 0.9}


def test_the_attack_is_drawn_above_with_its_points():
    chart = certified_chart(make_certificate([0.1, 0.3, 0.6, 0.0]), make_attack(4))
    assert [d.name for d in chart.drawings] == ["clean", "certified", "under attack"]
    assert len(chart.drawings[2].dots) == 3
    assert chart.band
    # An attack bounds the robust accuracy from its radius on, and says nothing of smaller ones.
    assert json.loads(chart.readout)["lines"][2]["steps"]


def test_an_attack_on_some_images_comes_with_their_own_certified_curve():
    chart = certified_chart(make_certificate([0.1, 0.3, 0.6, 0.0]), make_attack(2))
    assert [d.name for d in chart.drawings][2:] == ["under attack (2 images)", "certified, of these"]


def test_a_certificate_without_attack_or_without_certified_images_is_drawn():
    assert len(certified_chart(make_certificate([0.1, 0.3]), None).drawings) == 2
    chart = certified_chart(make_certificate([0.0, 0.0]), None)
    assert "nan" not in chart.drawings[1].line


def rows(n, **changes):
    base = {"train_loss": 1.0, "val_loss": 0.5, "train_accuracy": 0.5, "val_accuracy": 0.4, "learning_rate": 0.1}
    return [{"epoch": float(k), **base, **changes} for k in range(n)]


def test_learning_charts_show_what_is_recorded():
    charts = learning_charts(rows(3))
    assert [chart.title for chart in charts] == ["Loss", "Accuracy", "Learning rate"]
    assert [d.name for d in charts[1].drawings] == ["training", "validation"]
    assert (charts[0].x.low, charts[0].x.high) == (1, 3)


def test_one_epoch_is_a_dot_and_a_diverged_loss_is_left_out():
    (loss, *_) = learning_charts(rows(1, train_loss=math.nan))
    assert [d.name for d in loss.drawings] == ["validation"]
    assert len(loss.drawings[0].dots) == 1
    assert loss.x.ticks() == [(50.0, "1")]
    assert learning_charts([]) == []


def test_negative_losses_fit_in():
    (loss, *_) = learning_charts(rows(2, train_loss=-3.0))
    assert loss.y.low < -3.0
