import sys

import pytest

from onelip.cli import main


def test_options_arrive(monkeypatch):
    given = {}
    monkeypatch.setattr(
        "onelip.experiments.bench.measure_command.bench_measure", lambda **options: given.update(options)
    )
    line = "--models a,b --methods c --device cuda --batch 3 --image 64 --classes 7 --steps 2 --seconds 1.5"
    monkeypatch.setattr(
        sys, "argv", ["onelip", "bench", "measure", *line.split(), "--out", "x.csv", "--format", "json"]
    )
    with pytest.raises(SystemExit) as caught:
        main()
    assert not caught.value.code
    effort = given.pop("effort")
    assert (effort.steps, effort.seconds) == (2, 1.5)
    assert given == {
        "models": "a,b",
        "methods": "c",
        "device": "cuda",
        "batch": 3,
        "image": 64,
        "classes": 7,
        "format_name": "json",
        "out": "x.csv",
    }


def test_a_mistake_is_one_line(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["onelip", "bench", "measure", "--methods", "aocc"])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 2
    assert capsys.readouterr().err == "onelip: method 'aocc' is unknown; did you mean 'aoc'?\n"
    assert list(tmp_path.iterdir()) == []
