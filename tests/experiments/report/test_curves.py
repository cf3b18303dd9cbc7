"""What the charts of a run show."""

import json
import math

import numpy as np

from onelip.experiments.report.curves import accuracy_chart, learning_charts
from onelip.pictures import RobustAccuracy, UnderAttack


def make_known(radii, attacks=(), relaxed=()):
    return RobustAccuracy("l2", 0.9, None if radii is None else np.array(radii), True, tuple(attacks), relaxed)


def make_attack(samples, accuracy=(0.6, 0.2), name="pgd"):
    return UnderAttack(name, (0.25, 0.5), tuple(accuracy), 0.9, samples)


def test_the_attack_is_drawn_above_with_its_points():
    chart = accuracy_chart(make_known([0.1, 0.3, 0.6, 0.0], [make_attack(4)]))
    assert [d.name for d in chart.drawings] == ["clean", "certified", "under attack"]
    assert len(chart.drawings[2].dots) == 3
    assert chart.band
    # An attack bounds the robust accuracy from its radius on, and says nothing of smaller ones.
    assert json.loads(chart.readout)["lines"][2]["steps"]


def test_an_attack_on_some_images_comes_with_their_own_certified_curve():
    chart = accuracy_chart(make_known([0.1, 0.3, 0.6, 0.0], [make_attack(2)]))
    assert [d.name for d in chart.drawings][2:] == ["under attack (2 images)", "certified, of these"]


def test_every_attack_has_a_line_of_its_own_look():
    chart = accuracy_chart(make_known([0.1, 0.3, 0.6, 0.0], [make_attack(4), make_attack(2, name="apgd-t")]))
    assert [d.name for d in chart.drawings][2:] == ["under pgd", "under apgd-t (2 images)"]
    assert len({d.look for d in chart.drawings}) == 4
    assert "Under apgd-t, accuracy is 20.0% at radius 0.5." in chart.description


def test_relaxation_gives_single_points():
    chart = accuracy_chart(make_known([0.1, 0.3], relaxed=((0.1, 0.5), (0.2, 0.25))))
    (relaxed,) = [d for d in chart.drawings if d.name == "by relaxation"]
    assert len(relaxed.dots) == 2
    assert "L" not in relaxed.line


def test_an_ordinary_network_has_attacks_alone():
    chart = accuracy_chart(make_known(None, [make_attack(7)]))
    assert [d.name for d in chart.drawings] == ["clean", "under pgd"]
    assert not chart.band
    assert chart.description.startswith("Clean accuracy is 90.0%. Under pgd")


def test_a_certificate_without_attack_or_without_certified_images_is_drawn():
    assert len(accuracy_chart(make_known([0.1, 0.3])).drawings) == 2
    assert "nan" not in accuracy_chart(make_known([0.0, 0.0])).drawings[1].line


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
