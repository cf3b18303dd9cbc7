"""Tables as pictures."""

import math
import sys
import types

import pytest
from tests.experiments.collection.made_runs import make_row

from onelip.experiments import UserError
from onelip.experiments.tables.figures import save_radar
from onelip.experiments.tables.templates import AXES, Inputs
from onelip.experiments.tables.templates.layers_compared_radar import RULE


@pytest.fixture
def drawn(monkeypatch):
    """Replace the drawing; collect what is to be drawn."""
    calls = []

    class RadarPlot:
        def __init__(self, axes, series, top, caption):
            self.arguments = (tuple(axes), dict(series), top, caption)

        def save(self, path):
            calls.append((*self.arguments, path))

    monkeypatch.setitem(sys.modules, "onelip.pictures.radar", types.SimpleNamespace(RadarPlot=RadarPlot))
    return calls


def test_scores_are_drawn_with_their_rule(drawn, tmp_path):
    rows = [
        make_row(f"layers-compared-xs-{method}", values={"accuracy": a, "certified@0.141176": a / 2})
        for method, a in (("aol", 0.5), ("soc", 0.7), ("aoc", 0.6))
    ]
    save_radar(Inputs(rows), tmp_path / "radar.png")
    axes, series, top, caption, path = drawn[0]
    assert (axes, top, caption, path) == (AXES, 5.0, RULE, tmp_path / "radar.png")
    assert list(series) == ["AOL", "SOC", "AOC (ours)"]
    assert series["AOC (ours)"][:2] == pytest.approx([3, 3])
    assert math.isnan(series["AOL"][3])


def test_nothing_to_compare(drawn, tmp_path):
    with pytest.raises(UserError, match="no two methods have the same number"):
        save_radar(Inputs([make_row("layers-compared-xs-aol", values={"accuracy": 0.5})]), tmp_path / "radar.png")
    assert drawn == []
