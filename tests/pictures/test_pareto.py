"""Gain against cost, and the front."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onelip.pictures import ParetoPlot, pareto, pareto_front

points = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=25)


@given(points=points)
def test_the_front_is_what_no_other_point_beats(points):
    def beaten(p):
        return any(q != p and q[0] <= p[0] and q[1] >= p[1] for q in points)

    assert pareto_front(points) == sorted({p for p in points if not beaten(p)})


@pytest.fixture
def drawn(monkeypatch, tmp_path):
    figures = []
    save = pareto.save
    monkeypatch.setattr(pareto, "save", lambda figure, path: (figures.append(figure), save(figure, path)))
    return lambda plot: (plot.save(tmp_path / "p.png"), figures[-1].axes[0])[1]


def test_groups_and_their_common_front_are_drawn(drawn):
    axes = drawn(ParetoPlot({"aoc": [(10, 0.5), (30, 0.7)], "aol": [(5, 0.4), (40, 0.6)]}))
    assert [line.get_label() for line in axes.lines] == ["aoc", "aol", "best for its cost"]
    assert axes.lines[2].get_xydata().tolist() == [[5, 40], [10, 50], [30, 70]]
    assert axes.get_xscale() == "linear"


def test_costs_of_different_sizes_have_a_logarithmic_axis_with_plain_numbers(drawn):
    axes = drawn(ParetoPlot({"a": [(1, 3.0), (1000, 4.0)]}, "seconds", "score", percent=False))
    assert axes.get_xscale() == "log"
    assert "200" in [label.get_text() for label in axes.get_xticklabels()]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("seconds", "score")


@pytest.mark.parametrize(
    ("groups", "message"),
    [({"a": []}, "groups in ParetoPlot has no point"), ({"a": [(1, math.nan)]}, r"groups\['a'\] .* is not finite")],
)
def test_points_that_cannot_be_drawn_are_refused(groups, message):
    with pytest.raises(ValueError, match=message):
        ParetoPlot(groups)
