"""Figures for files."""

import sys

import pytest
import torch

from onelip.pictures.canvas import drawable, mosaic, new_figure, plain_axes, save


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
