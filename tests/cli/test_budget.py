import sys

import pytest

from onelip.cli import main


def test_options_arrive(monkeypatch):
    given = []
    monkeypatch.setattr(
        "onelip.experiments.bench.budget_command.bench_budget", lambda words, **options: given.append((words, options))
    )
    line = "digits own.yaml seed=1 --hours 24 --sizes xs,s --methods aoc --data cifar100 --steps 9 --seconds 4"
    monkeypatch.setattr(sys, "argv", ["onelip", "bench", "budget", *line.split(), "--out", "x.yaml"])
    with pytest.raises(SystemExit) as caught:
        main()
    assert not caught.value.code
    ((words, options),) = given
    assert words == ["digits", "own.yaml", "seed=1"]
    assert options == {
        "sizes": "xs,s",
        "methods": "aoc",
        "data": "cifar100",
        "hours": 24,
        "steps": 9,
        "seconds": 4,
        "out": "x.yaml",
    }


def test_naming_nothing_is_one_line(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["onelip", "bench", "budget"])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 2
    assert capsys.readouterr().err == (
        "onelip: no configuration is named; give names, files, or --sizes and --methods\n"
    )
