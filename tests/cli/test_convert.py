"""`onelip convert` on the command line: options arrive, and mistakes are one line."""

from __future__ import annotations

import sys

import pytest
from tests.experiments.convert.settings_files import search_settings

from onelip.cli import main


@pytest.fixture
def onelip(tmp_path, monkeypatch, capsys):
    """Run the command in an empty folder; return the exit code, standard output and standard error."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["onelip", "convert", *arguments])
        with pytest.raises(SystemExit) as caught:
            main()
        return (caught.value.code or 0, *capsys.readouterr())

    return run


def test_options_arrive(onelip, monkeypatch):
    given = {}
    monkeypatch.setattr(
        "onelip.experiments.convert.command.convert",
        lambda file, changes, **rest: given.update(rest, file=file, changes=changes),
    )
    options = "-o a=1 -o b=2 --out x.yaml --from lnets --checkpoint w.pth --project --runs-dir r"
    assert onelip("f.json", *options.split())[0] == 0
    assert given == {
        "file": "f.json",
        "changes": ["a=1", "b=2"],
        "out": "x.yaml",
        "source": "lnets",
        "checkpoint": "w.pth",
        "project": True,
        "runs_dir": "r",
    }


def test_an_unknown_class_is_one_line_and_nothing_is_written(onelip, tmp_path):
    (tmp_path / "settings.yml").write_text(search_settings("BCOP").replace("BjorckLinear", "BjorkLinear"), "utf-8")
    sentence = "onelip: settings.yml, line 8: linear layer 'BjorkLinear' is unknown; did you mean 'BjorckLinear'?\n"
    assert onelip("settings.yml") == (2, "", sentence)
    assert [path.name for path in tmp_path.iterdir()] == ["settings.yml"]


def test_a_sweep_is_written(onelip, tmp_path):
    (tmp_path / "settings.yml").write_text(search_settings("BCOP"), "utf-8")
    code, out, error = onelip("settings.yml", "-o", "epochs=7", "--out", "sweep.yaml")
    assert (code, error) == (0, "")
    assert "sweep: sweep.yaml" in out
    assert "max_epochs: 7" in (tmp_path / "sweep.yaml").read_text("utf-8")
