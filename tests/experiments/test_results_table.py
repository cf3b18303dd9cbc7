"""The table at the end of a command."""

import json

import pytest

from onelip.experiments import RunFolder
from onelip.experiments.report.numbers import MISSING
from onelip.experiments.results_table import show_attack, show_results


def test_relaxation_has_a_column_of_its_own(tmp_path, capsys):
    results = {
        "split": "test",
        "accuracy": 0.975,
        "certified": {"0.5": 0.1},
        "attacked": {"0.25": 0.9},
        "lipschitz_bound": {"value": 49.0, "proved": True},
        "relaxation": {"method": "kw", "certified": {"0.5": 0.7}},
    }
    (tmp_path / "results.json").write_text(json.dumps(results))
    show_results(RunFolder(tmp_path))
    lines = capsys.readouterr().out.replace("\u202f", "").splitlines()
    assert any("(kw)" in line for line in lines)
    rows = [[cell.strip() for cell in line.split("\u2502")[1:-1]] for line in lines if "%" in line]
    assert rows == [["0", "97.50%", "", ""], ["0.25", MISSING, MISSING, "90.00%"], ["0.5", "10.00%", "70.00%", MISSING]]


@pytest.mark.parametrize(
    ("proved", "words"), [(True, "1.0002001 (proved)"), (False, "1.0002001 (estimated, NOT proved)")]
)
def test_results_show_every_radius_and_whether_the_constant_is_proved(proved, words, tmp_path, capsys):
    results = {
        "split": "test",
        "accuracy": 0.975,
        "certified": {"0.5": 0.71, "10": 0.0},
        "attacked": {"0.5": 0.8, "0.25": 0.9},
        "lipschitz_bound": {"value": 1.00020005, "proved": proved},
    }
    (tmp_path / "results.json").write_text(json.dumps(results))
    show_results(RunFolder(tmp_path))
    lines = capsys.readouterr().out.splitlines()
    assert words in lines[0]
    rows = [[cell.strip() for cell in line.split("\u2502")[1:-1]] for line in lines if "%" in line]
    shares = [[cell.replace("\u202f", "") for cell in row] for row in rows]
    assert shares == [
        ["0", "97.50%", ""],
        ["0.25", MISSING, "90.00%"],
        ["0.5", "71.00%", "80.00%"],
        ["10", "0.00%", MISSING],
    ]


def test_norm_and_semantics_are_shown(tmp_path, capsys):
    results = {
        "split": "test",
        "accuracy": 0.9,
        "certified": {"0.1": 0.5},
        "attacked": {},
        "norm": "linf",
        "semantics": "executed-float64",
        "lipschitz_bound": {"value": 1.0, "proved": True},
    }
    (tmp_path / "results.json").write_text(json.dumps(results))
    show_results(RunFolder(tmp_path))
    out = capsys.readouterr().out
    assert "Lipschitz constant (linf) <= 1.0000000 (proved)" in out
    assert "semantics executed-float64: what any float64 evaluation of the frozen operations computes" in out
    assert "linf radius" in out
    assert "accuracy under attack" in out


@pytest.mark.parametrize("certified", [None, [0.6, 0.5]])
def test_an_attack_is_shown_beside_what_is_certified_if_anything_is(certified, capsys):
    attack = {
        "attack": "mim", "norm": "linf", "samples": 1000, "radii": [8 / 255, 0.1], "accuracy": [0.8, 0.7],
        "clean_on_same": 0.975,
    }  # fmt: skip
    show_attack(attack if certified is None else attack | {"certified_on_same": certified})
    lines = capsys.readouterr().out.replace("\u202f", "").splitlines()
    assert lines[0] == "mim in linf, on 1,000 images of the test split"
    rows = [[cell.strip() for cell in line.split("\u2502")[1:-1]] for line in lines if "%" in line]
    proved = [[""], ["60.00%"], ["50.00%"]] if certified else [[]] * 3
    assert rows == [
        ["0", *proved[0], "97.50%"], ["0.0313725", *proved[1], "80.00%"], ["0.1", *proved[2], "70.00%"],
    ]  # fmt: skip
