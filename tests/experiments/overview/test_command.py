"""The command that writes one page over many runs."""

import json

import pytest

from onelip.experiments import UserError, dump_config, load_config
from onelip.experiments.overview import command
from onelip.experiments.overview.command import overview
from onelip.pictures import RadarPlot


@pytest.fixture
def runs(tmp_path):
    config = dump_config(load_config("digits"))
    for name in ("a", "b"):
        folder = tmp_path / "runs" / name / "1"
        folder.mkdir(parents=True)
        (folder / "config.yaml").write_text(config)
    (tmp_path / "runs" / "b" / "1" / "failure.json").write_text(json.dumps({"message": "the loss is nan"}))
    return tmp_path / "runs"


def test_the_page_of_a_folder_is_in_it(runs, capsys):
    overview([str(runs)])
    page = (runs / "overview.html").read_text()
    assert "<h1>runs</h1>" in page
    assert "the loss is nan" in page
    assert capsys.readouterr().out == f"overview of 2 runs: {runs / 'overview.html'}\n"


def test_the_page_of_several_folders_is_where_the_user_is(runs, capsys, monkeypatch):
    monkeypatch.chdir(runs.parent)
    overview([str(runs / "a"), str(runs / "b")])
    assert "<h1>Runs</h1>" in (runs.parent / "overview.html").read_text()
    overview([str(runs / "a")], out="mine.html", title="My runs")
    assert "<h1>My runs</h1>" in (runs.parent / "mine.html").read_text()
    assert "overview of 1 run: mine.html" in capsys.readouterr().out


def test_pictures_and_what_is_left_out_are_named(runs, capsys):
    overview([str(runs)], pictures=True)
    said = capsys.readouterr().out
    assert "pareto left out: no finished run" in said
    assert "radar left out: it scores costs, too; give --measurements" in said
    assert "pictures: " not in said


def test_measurements_are_scored(runs, capsys, monkeypatch):
    asked = []
    radar = RadarPlot(("a", "b", "c"), {"AOC": (1, 2, 3)})
    monkeypatch.setattr(command, "read_costs", lambda file: ([file], {"a": 1.0}))
    monkeypatch.setattr(command, "radar_plot", lambda inputs: asked.append(inputs) or radar)
    overview([str(runs)], measurements="costs.csv", pictures=True)
    assert (asked[0].measurements, asked[0].epoch_seconds) == (["costs.csv"], {"a": 1.0})
    assert f"pictures: {runs / 'pictures'} (radar; .png and .svg)" in capsys.readouterr().out
    assert '"names":["AOC"]' in (runs / "overview.html").read_text()
    monkeypatch.undo()
    monkeypatch.setattr(command, "read_costs", lambda file: ((), {}))
    overview([str(runs)], measurements="costs.csv")
    assert "radar left out: no two methods have the same number" in capsys.readouterr().out
    assert '"radar":null' in (runs / "overview.html").read_text()


def test_what_is_wrong_is_said_before_runs_are_read(runs, tmp_path):
    (tmp_path / "mine.html").write_text("mine")
    with pytest.raises(UserError, match="is no page over runs by onelip"):
        overview([str(tmp_path / "none")], out=str(tmp_path / "mine.html"))
    with pytest.raises(UserError, match="none is no folder"):
        overview([str(tmp_path / "none")])
