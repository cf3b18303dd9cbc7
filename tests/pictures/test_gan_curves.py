"""Curves of GANs: what is drawn, and files."""

import pytest
import torch
from PIL import Image

from onelip.pictures import gan_curves, sample_grid, save_kinds, save_losses

ROWS = [{"generator_steps": 10 * k, "difference": 1 / k, "critic_loss": -1 / k, "frechet_sq": 2 / k} for k in (1, 2, 3)]


@pytest.fixture
def drawn(monkeypatch):
    figures = []
    save = gan_curves.save
    monkeypatch.setattr(gan_curves, "save", lambda figure, path: (figures.append(figure), save(figure, path)))
    return figures


def test_losses_that_were_measured_are_drawn(tmp_path, drawn):
    save_losses(ROWS, tmp_path / "losses.png")
    axes = drawn[0].axes[0]
    assert [line.get_label() for line in axes.lines if not line.get_label().startswith("_")] == [
        "critic's difference",
        "critic's loss",
    ]
    assert axes.lines[0].get_xydata().tolist() == [[10, 1], [20, 0.5], [30, pytest.approx(1 / 3)]]
    with Image.open(tmp_path / "losses.png") as picture:
        assert picture.size == (1280, 720)


def test_trainings_are_compared_with_real_images(tmp_path, drawn):
    save_kinds({"a": ROWS, "b": ROWS[:2]}, {}, tmp_path / "kinds.png", floor=0.1)
    lines = drawn[0].axes[0].lines
    assert [line.get_label() for line in lines] == ["a", "b", "training images"]
    assert len({str(line.get_linestyle()) + str(line.get_color()) for line in lines}) == 3
    assert lines[1].get_ydata().tolist() == [2.0, 1.0]
    with pytest.raises(ValueError, match="0 trainings in save_kinds"):
        save_kinds({}, {}, tmp_path / "none.png")


def test_grids_are_shown_below(tmp_path, drawn):
    grid = sample_grid(torch.rand(4, 1, 8, 8), 2)
    save_kinds({"a": ROWS}, {"first": grid, "second": grid}, tmp_path / "kinds.png")
    curve, *shown = drawn[0].axes
    assert len(curve.lines) == 1
    assert [axes.get_title() for axes in shown] == ["first", "second"]
    assert (shown[1].images[0].get_array() == grid).all()
