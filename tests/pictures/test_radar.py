"""Scores as polygons."""

import math

import pytest
from PIL import Image

from onelip.pictures import RadarPlot, radar

AXES = ("accuracy", "speed", "memory", "size")
SCORES = {"aoc": (5.0, 1.0, 2.0, 3.0), "aol": (1.0, 5.0, math.nan, 4.0)}


def test_polygons_are_closed_and_missing_scores_are_gaps(tmp_path, monkeypatch):
    figures = []
    save = radar.save
    monkeypatch.setattr(radar, "save", lambda figure, path: (figures.append(figure), save(figure, path)))
    RadarPlot(AXES, SCORES, caption="word " * 40).save(tmp_path / "radar.png")
    axes = figures[0].axes[0]
    lines = {line.get_label(): line.get_ydata().tolist() for line in axes.lines if not line.get_label().startswith("_")}
    assert lines["aoc"] == [5.0, 1.0, 2.0, 3.0, 5.0]
    assert [math.isnan(v) for v in lines["aol"]] == [False, False, True, False, False]
    assert len(axes.patches) == 1, "only a whole polygon is filled"
    assert [label.get_text() for label in axes.get_xticklabels()] == list(AXES)
    assert figures[0].texts[0].get_text().split("\n") == [("word " * 25).strip(), ("word " * 15).strip()]
    with Image.open(tmp_path / "radar.png") as picture:
        assert picture.size == (1680, 1020)


def test_the_same_scores_give_the_same_file(tmp_path):
    for name in ("a.svg", "b.svg"):
        RadarPlot(AXES, SCORES).save(tmp_path / name)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


def test_pages_get_plain_lists():
    data = RadarPlot(AXES, SCORES, top=6, caption="c").as_data()
    assert data["scores"] == [[5.0, 1.0, 2.0, 3.0], [1.0, 5.0, None, 4.0]]
    assert (data["axes"], data["names"], data["top"], data["caption"]) == (list(AXES), ["aoc", "aol"], 6.0, "c")


@pytest.mark.parametrize(
    ("axes", "series", "top", "message"),
    [
        (("a", "b"), {"x": (1, 2)}, 5, "are 2; a polygon needs at least 3"),
        (AXES, {}, 5, "series in RadarPlot has no method"),
        (AXES, {"x": (1, 2, 3)}, 5, r"series\['x'\] in RadarPlot has 3 scores for 4 axes"),
        (AXES, {"x": (1, 2, 3, 5.5)}, 5, "a score of 5.5; allowed is 0 to 5"),
        (AXES, {"x": (1, 2, 3, -1)}, 5, "a score of -1; allowed is 0 to 5"),
        (AXES, {"x": (0, 0, 0, 0)}, 0, "top=0 in RadarPlot must be positive and finite"),
    ],
)
def test_scores_that_cannot_be_drawn_are_refused(axes, series, top, message):
    with pytest.raises(ValueError, match=message):
        RadarPlot(axes, series, top)
