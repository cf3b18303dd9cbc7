"""Figures for files."""

import sys

import pytest
import torch
from PIL import Image

from onelip.pictures.canvas import drawable, legend_above, mosaic, new_figure, plain_axes, save, side_by_side


def test_the_same_figure_gives_the_same_bytes_and_replaces_a_file(tmp_path):
    for ending in ("png", "svg"):
        path, contents = tmp_path / f"a.{ending}", []
        for _ in range(2):
            figure = new_figure(2, 1)
            plain_axes(figure).plot([0, 1], [0, 1])
            save(figure, path)
            contents.append(path.read_bytes())
        assert contents[0] == contents[1]
    assert {path.name for path in tmp_path.iterdir()} == {"a.png", "a.svg"}


@pytest.mark.parametrize(("letters", "columns"), [(3, 4), (30, 2), (60, 1)])
def test_a_legend_has_the_columns_that_fit_and_the_figure_grows(letters, columns):
    figure = new_figure(6, 3)
    axes = plain_axes(figure)
    for k in range(8):
        axes.plot([0, 1], [0, k], label=f"{k}" * letters)
    legend_above(axes)
    figure.draw_without_rendering()
    legend = axes.get_legend().get_window_extent()
    assert axes.get_legend()._ncols == columns
    assert 0 <= legend.x0 < legend.x1 <= figure.bbox.x1
    assert legend.y1 <= figure.bbox.y1 + 1
    # The axes keep their height, about.
    assert 1.5 <= axes.get_position().height * figure.get_figheight() <= 2.5


def test_an_unknown_format_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"a\.gif' must end in \.png, \.svg or \.pdf"):
        save(new_figure(1, 1), tmp_path / "a.gif")
    assert not list(tmp_path.iterdir())


def test_pictures_lie_where_they_are_put():
    axes = mosaic([(drawable(torch.zeros(1, 2, 2)), 0.5, 0.25)], 4, 3)
    (picture,) = axes.get_images()
    assert picture.get_extent() == [0.5, 1.5, 1.25, 0.25]
    assert axes.get_ylim() == (3.0, 0.0)


def test_without_matplotlib_the_way_to_it_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ModuleNotFoundError, match="needs matplotlib; install it with: pip install matplotlib"):
        new_figure(1, 1)


class _Line:
    def __init__(self) -> None:
        self.axes = None

    def draw(self, axes):
        axes.plot([0, 1], [0, 1])
        self.axes = axes


def test_pictures_stand_in_rows_below_their_titles(tmp_path):
    first, second, third = _Line(), _Line(), _Line()
    side_by_side([[("a", first), ("b", second)], [("c", third)]], tmp_path / "a.png", size=(2, 1))
    assert [part.axes.get_title() for part in (first, second, third)] == ["a", "b", "c"]
    places = [part.axes.get_position() for part in (first, second, third)]
    assert places[0].x0 < places[1].x0
    assert abs(places[0].x0 - places[2].x0) < 0.05
    assert places[2].y1 < places[0].y0
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.size == (800, 400)


def test_nothing_is_not_drawn(tmp_path):
    with pytest.raises(ValueError, match="rows in side_by_side has nothing to draw"):
        side_by_side([[]], tmp_path / "a.png")
